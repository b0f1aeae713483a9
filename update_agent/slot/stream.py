"""Installs an update that is fetched piece by piece, and goes on where an earlier attempt ended, after a reboot too.

The order is that of ``update_agent.slot.install``: everything that can be refused is refused, the slot is cleared and that flushed,
written, flushed and read back from the disk, and then armed. In between a journal says what is in the slot. Each batch is flushed and read
back while the next one is fetched, and all of it is one SHA-256, which is compared before the slot is armed.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gptlib.errors import GptError
from update_agent.errors import VerifyError
from update_agent.payload.errors import OldImageError, PayloadError
from update_agent.payload.pipeline import transfer
from update_agent.slot.errors import BlobSizeError, JournalError
from update_agent.slot.install import Stage, passive_slot
from update_agent.slot.journal import Binding, Journal, Piece, merged, read_journal, remove_journal
from update_agent.slot.old import open_old
from update_agent.slot.open import open_slot
from update_agent.slot.settling import Settling
from update_agent.transport.errors import DeadlineError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from typing import Self

    from bootselect.slot_disk import SlotDisk
    from update_agent.boot_chain import BootChain
    from update_agent.payload.index import DeltaIndex, Index, Segment
    from update_agent.slot.install import Installed, Passive, Report, Voice
    from update_agent.slot.old import OldSlot
    from update_agent.slot.writer import SlotWriter
    from update_agent.transport.source import Source

BATCH = 16 << 20
"""Bytes of the image after which the slot is flushed and the journal written, while the next ones come: after a power cut two such
batches, at most, are fetched again."""


@dataclass(frozen=True)
class Published:
    """An update whose bulk data are fetched; an ``Offer``. ``blob`` has what ``index`` describes, and ``delta`` what it differs in.

    The indexes were verified: they are what is believed. ``delta`` is of the same image.
    """

    version: str
    shown: str
    index: Index
    blob: Source
    delta: tuple[DeltaIndex, Source] | None = None
    releases: tuple[str, ...] | None = None
    own_kernel: bool = False

    @property
    def size(self) -> int:
        """Bytes of the slot image."""
        return self.index.size

    @property
    def sha256(self) -> str:
        """Of the slot image."""
        return self.index.sha256


def install_published(
    update: Published,
    found: SlotDisk,
    slot: str | None,
    tries: int,
    journal: Path,
    voice: Voice,
    chain: BootChain | None = None,
    old: int | None = None,
) -> Installed:
    """Bring an update into the passive slot and arm it, from nothing or from where an earlier call ended.

    ``journal`` is a file for this alone, that outlives reboots. ``old`` is the slot that a difference may be made from, by default the
    active one; it is only read. On the disk, whatever happens and whenever: the active slot is as it was; before the last step the
    passive slot is 0/0/0, after it the whole verified update is tried.

    Raises, with nothing written, what ``install`` raises then, and a TransportError or BlobSizeError where the blob cannot be had.
    Later: a TransportError, PayloadError or SlotWriteError (another call goes on), SlotChangedError, and VerifyError, after which
    another call begins anew.
    """
    with passive_slot(update, found, slot, tries, voice, chain) as passive, ExitStack() as files:
        writer = files.enter_context(open_slot(passive.disk, passive.table, passive.number))
        records = files.enter_context(_Records(journal, _binding(update, passive), voice.tell))
        before, full, delta = records.read(), _Way(update.index, update.blob), None
        if not _covers(before, Piece(0, update.size)):
            delta = _delta(update, passive, found.active if old is None else old, files, voice.tell)
            if delta is None:
                _require_size(full)
        settling = files.enter_context(Settling(writer, records.add))
        filling = _Filling(writer, settling, records, update.size, voice.report)
        # What a journal says of a slot that was in use since counts no more.
        filling.begin(delta or full, before if passive.clear() else [])
        if delta is not None and not _filled_by(filling, delta, voice.tell):
            filling.begin(full, filling.pieces)
            delta = None
        filling.fetch(delta or full)
        passive.reached(Stage.WRITTEN)
        stored = settling.digest(update.size, lambda done: voice.report("verifying", done, update.size))
        if stored != update.sha256:
            records.remove()
            raise VerifyError(writer.path, "what the slot holds", stored, update.sha256)
        passive.reached(Stage.VERIFIED)
        installed = passive.arm()
        records.remove()
    return installed


@dataclass(frozen=True)
class _Way:
    """From what the image is made: ``old`` is there where the index is that of a difference."""

    index: Index | DeltaIndex
    blob: Source
    old: OldSlot | None = None


def _binding(update: Published, passive: Passive) -> Binding:
    partition = passive.table.partition(passive.number)
    return Binding(update.sha256, str(partition.unique_guid), str(passive.table.disk_guid))


def _covers(pieces: Iterable[Piece], wanted: Piece) -> bool:
    """Whether all of it is in one of the pieces, which are merged ones."""
    return any(
        piece.start <= wanted.start and wanted.start + wanted.size <= piece.start + piece.size for piece in pieces
    )


def _require_size(way: _Way) -> None:
    """Raise BlobSizeError, or a TransportError where the blob cannot be had, before anything is written."""
    size = way.blob.size()
    if size != way.index.compressed:
        raise BlobSizeError(way.blob.shown, size, way.index.compressed)


def _delta(
    update: Published, passive: Passive, old: int | None, files: ExitStack, tell: Callable[[str], None]
) -> _Way | None:
    """The way by the difference to the old slot, or None where there is any doubt of it: ``tell`` is told which."""
    if update.delta is None or old is None or old == passive.number:
        return None
    index, blob = update.delta
    try:
        if (index.size, index.sha256) != (update.size, update.sha256):
            raise OldImageError(0, "the difference makes another image than the update")
        slot = files.enter_context(open_old(passive.disk, passive.table, old))
        slot.require(index.from_size, index.from_sha256)
        way = _Way(index, blob, slot)
        _require_size(way)
    except (GptError, OldImageError, BlobSizeError, TransportError) as error:
        if isinstance(error, DeadlineError):
            raise
        tell(f"the whole update is fetched: {error}")
        return None
    return way


def _filled_by(filling: _Filling, delta: _Way, tell: Callable[[str], None]) -> bool:
    """Whether the difference gave all. Raises what the network and the slot raise, where the whole update would meet it too."""
    try:
        filling.fetch(delta)
    except (PayloadError, TransportError) as error:
        if isinstance(error, DeadlineError) or getattr(error, "retry", False):
            raise
        tell(f"the rest of the update is fetched in full: {error}")
        return False
    return True


class _Filling:
    """Segments into the slot, and what is there into the journal. ``pieces`` are verified and in the slot."""

    def __init__(self, writer: SlotWriter, settling: Settling, records: _Records, size: int, report: Report) -> None:
        self._writer, self._settling, self._records, self._size, self._report = writer, settling, records, size, report
        self.pieces: list[Piece] = []
        self._pending: list[Piece] = []
        self._done = 0

    def begin(self, way: _Way, told: Sequence[Piece]) -> None:
        """Believe of what is told to be in the slot what is on the disk, and begin a journal that says so."""
        self._settling.begin()  # and flush what a killed process left unwritten
        told = merged(told)
        self.pieces, self._done = [], 0
        for segment in way.index.segments:
            place = Piece(segment.start, segment.size)
            if _covers(told, place) and self._on_disk(segment):
                self._add(place, "checking")
        self._records.begin(self.pieces)

    def _on_disk(self, segment: Segment) -> bool:
        return self._writer.read_back(segment.size, lambda _: None, segment.start) == segment.sha256

    def _add(self, place: Piece, what: str) -> None:
        self.pieces.append(place)
        self._done += place.size
        self._report(what, self._done, self._size)

    def fetch(self, way: _Way) -> None:
        """Fetch what is missing, write it and flush. What was written when it fails is in the journal."""
        there = {piece.start for piece in self.pieces}
        missing = [segment for segment in way.index.segments if segment.start not in there]
        try:
            transfer(missing, way.blob, self._take, way.old.read if way.old is not None else None)
        except (PayloadError, TransportError):
            self._settle()
            self._settling.wait()
            raise
        self._settle()
        self._settling.wait()

    def _take(self, segment: Segment, data: memoryview) -> None:
        self._writer.write_at(data, segment.start)
        self._pending.append(Piece(segment.start, segment.size))
        self._add(self._pending[-1], "fetching")
        if sum(piece.size for piece in self._pending) >= BATCH:
            self._settle()

    def _settle(self) -> None:
        pending, self._pending = self._pending, []
        if pending:
            first = merged(self.pieces)[0]
            self._settling.settle(pending, first.size if first.start == 0 else 0)


class _Records:
    """The journal, without which an installation goes on: it only could not be gone on with. Each failure is told."""

    def __init__(self, path: Path, binding: Binding, tell: Callable[[str], None]) -> None:
        self._path, self._binding, self._tell = path, binding, tell
        self._journal: Journal | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def read(self) -> list[Piece]:
        try:
            return read_journal(self._path, self._binding)
        except JournalError as error:
            self._tell(str(error))
            return []

    def begin(self, pieces: Sequence[Piece]) -> None:
        self.__exit__()
        try:
            self._journal = Journal.begin(self._path, self._binding, merged(pieces))
        except JournalError as error:
            self._tell(str(error))

    def add(self, pieces: Iterable[Piece]) -> None:
        if self._journal is None:
            return
        try:
            self._journal.append(pieces)
        except JournalError as error:
            self._tell(str(error))
            self.__exit__()  # its end may be torn: what came behind would not be read

    def remove(self) -> None:
        self.__exit__()
        try:
            remove_journal(self._path)
        except JournalError as error:
            self._tell(str(error))
