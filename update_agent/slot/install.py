"""Installs an update into the passive slot, in an order that a power cut cannot turn into a half-written bootable slot."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from bootselect import verbs
from gptlib.disk import Disk
from update_agent.errors import SlotChangedError, TooLargeError, VerifyError
from update_agent.slot.open import open_slot
from update_agent.stop import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bootselect.slot_disk import SlotDisk
    from gptlib.table.table import Table
    from update_agent.boot_chain import BootChain
    from update_agent.offer import Offer
    from update_agent.slot.writer import SlotWriter, Source
    from update_agent.transport.medium import Update

    Report = Callable[[str, int, int], None]
    """(what is being done, bytes done, bytes in all)."""


class Stage(Enum):
    """What is done, and on the disk."""

    CLEARED = "cleared"
    """The slot is 0/0/0."""
    WRITTEN = "written"
    """All of the image is in the slot."""
    VERIFIED = "verified"
    """It was read back, and is what it must be."""


@dataclass(frozen=True)
class Voice:
    """Whom an installation tells what.

    ``report`` is given what is done and how far; ``now`` what holds from here on, in words, for whoever is stopped by a signal;
    ``tell`` what a person may want to know; ``stage`` each stage and the partition UUID of the slot. What these raise ends the
    installation where it is: before the slot is armed.
    """

    report: Report = lambda *_: None
    now: Callable[[str], None] = lambda _: None
    tell: Callable[[str], None] = lambda _: None
    stage: Callable[[Stage, str], None] = lambda *_: None


@dataclass(frozen=True)
class Installed:
    """An update that will be tried at the next boot."""

    version: str
    label: str
    partition: int
    tries: int


def install(
    update: Update,
    found: SlotDisk,
    slot: str | None,
    tries: int,
    voice: Voice | None = None,
    chain: BootChain | None = None,
) -> Installed:
    """Clear the passive slot, write it, read it back, and arm it.

    On the disk, whatever happens and whenever: the active slot is as it was. Before the last step the passive slot is
    0/0/0 (it will not be booted), after it the whole verified update is tried. ``chain`` is the boot chain of the running system,
    which counts where that came from this disk. Raises TooLargeError, KernelMismatchError and
    SlotBusyError (nothing written), MediumError, ImageReadError, SlotWriteError, VerifyError, SlotChangedError, and what
    bootselect's verbs and gptlib raise.
    """
    voice = voice or Voice()
    with (
        passive_slot(update, found, slot, tries, voice, chain) as passive,
        update.open_image() as source,
        open_slot(passive.disk, passive.table, passive.number) as writer,
    ):
        passive.clear()
        _write_verified(update, source, writer, passive)
        return passive.arm()


@dataclass(frozen=True)
class Passive:
    """The slot that an update goes into, of an open disk; ``table`` is that of the disk when it was chosen."""

    disk: Disk
    table: Table
    number: int
    found: SlotDisk
    version: str
    tries: int
    voice: Voice

    @property
    def uuid(self) -> str:
        """Of the partition, in lower case."""
        return self.table.partition(self.number).unique_guid.text

    def reached(self, stage: Stage) -> None:
        """Tell it."""
        self.voice.stage(stage, self.uuid)

    @property
    def label(self) -> str:
        """Of the partition."""
        return self.table.partition(self.number).label

    def clear(self) -> bool:
        """Make it 0/0/0 on the disk; whether it was that before, and nothing was written. Raises SlotChangedError and gptlib's."""
        holds = f"slot {self.label} (partition {self.number}) stays out of use (0/0/0)"

        def cleared(new: Table) -> Table:
            return verbs.clear(self._unmoved(new), self.number)

        before, after = self.found.change(cleared, self.voice.tell, lambda: _settling(self.voice.now, holds))
        if before == after:
            # Who wrote 0/0/0 may have been killed before it was flushed.
            self.disk.device.flush()
        self.reached(Stage.CLEARED)
        return before == after

    def arm(self) -> Installed:
        """Make it the next to be tried, on the disk. Raises SlotChangedError and what bootselect's verb and gptlib raise."""
        holds = f"version {self.version} is in {self.label} (partition {self.number}) and is tried at the next boot"
        self.found.change(
            lambda new: self.armed(self._unmoved(new)), self.voice.tell, lambda: _settling(self.voice.now, holds)
        )
        return Installed(self.version, self.label, self.number, self.tries)

    def armed(self, table: Table) -> Table:
        """What arming makes of a table, in memory."""
        return verbs.arm(table, self.found.type_guid, self.number, self.tries)

    def _unmoved(self, now: Table) -> Table:
        """The table as it is now. Raises SlotChangedError unless it still has the slot where it was when it was chosen."""
        if now.disk_guid != self.table.disk_guid or now.partitions.get(self.number) is None:
            raise SlotChangedError(self.found.path, self.number)
        old, new = self.table.partition(self.number), now.partition(self.number)
        if new._replace(attributes=old.attributes) != old:
            raise SlotChangedError(self.found.path, self.number)
        return now


@contextmanager
def passive_slot(
    update: Offer,
    found: SlotDisk,
    slot: str | None,
    tries: int,
    voice: Voice,
    chain: BootChain | None,
) -> Iterator[Passive]:
    """The slot for an update, after everything that can be refused was looked at: nothing is written. Raises as ``install``."""
    # Open until the end: the device, or the file, that everything below is about stays the same.
    with Disk.open(found.path) as disk:
        table = disk.table()
        number = found.named_or_passive(table, slot)
        passive = Passive(disk, table, number, found, update.version, tries, voice)
        if chain is not None and found.active is not None:
            chain.require(update)
        found.decide(table, passive.armed)  # what would be refused in the end is refused at once
        capacity = table.partition(number).sectors * table.sector_size
        if update.size > capacity:
            raise TooLargeError(update.shown, update.size, passive.label, capacity)
        yield passive


@contextmanager
def _settling(now: Callable[[str], None], holds: str) -> Iterator[None]:
    """A write of the table that no signal cuts in two, and whose result is known to whoever is stopped after it."""
    with uninterrupted():
        yield
        now(holds)


def _write_verified(update: Update, source: Source, writer: SlotWriter, passive: Passive) -> None:
    report = passive.voice.report
    written = writer.write(source, update.size, lambda done: report("writing", done, update.size))
    if written != update.sha256:
        raise VerifyError(source.shown, "the slot image", written, update.sha256)
    passive.reached(Stage.WRITTEN)
    stored = writer.read_back(update.size, lambda done: report("verifying", done, update.size))
    if stored != update.sha256:
        raise VerifyError(writer.path, "what the slot holds", stored, update.sha256)
    passive.reached(Stage.VERIFIED)
