"""Updates as they are published, and a disk that they go into: as small as segments of 4 MiB allow."""

from __future__ import annotations

import functools
import io
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootselect.slot_disk import SlotDisk
from gptlib import type_guid
from gptlib.disk import Disk
from tests.gptlib.handmade import Entry, Gpt
from tests.update_agent.updates import DATA, EMPTY, GOOD, A, B, TwoSlots
from update_agent.payload import delta as differences
from update_agent.payload.frames import Made, write_frames
from update_agent.payload.index import DeltaIndex, Index
from update_agent.slot import stream
from update_agent.slot.install import Voice
from update_agent.slot.stream import Published, install_published

if TYPE_CHECKING:
    from pathlib import Path

    from update_agent.slot.install import Installed
    from update_agent.transport.source import Source

MIB = 1 << 20
SLOT = 5 * MIB
FULL, DELTA = "/full", "/delta"


def image(seed: int, size: int) -> bytes:
    """Bytes of which a part can be compressed."""
    chance = random.Random(seed)
    pieces = [chance.randbytes(1 << 14) + bytes(1 << 14) for _ in range(-(-size // (1 << 15)))]
    return b"".join(pieces)[:size]


def changed(content: bytes, seed: int) -> bytes:
    """Some bytes everywhere are others."""
    new, chance = bytearray(content), random.Random(seed)
    for start in range(0, len(new) - 100, 200_000):
        at = start + chance.randrange(100)
        new[at : at + 16] = chance.randbytes(16)
    return bytes(new)


@dataclass(frozen=True, repr=False)
class Release:
    """An image, the index and the blob of it, and of what it differs in from another."""

    content: bytes
    index: Index
    blob: bytes
    delta: DeltaIndex | None = None
    delta_blob: bytes = b""

    @classmethod
    def make(cls, content: bytes, old: bytes | None = None) -> Release:
        blob = io.BytesIO()
        made = write_frames(io.BytesIO(content), blob, level=1)
        if old is None:
            return cls(content, made.index, blob.getvalue())
        second = io.BytesIO()
        difference: Made[DeltaIndex] = differences.make(io.BytesIO(old), io.BytesIO(content), second)
        return cls(content, made.index, blob.getvalue(), difference.index, second.getvalue())

    @property
    def files(self) -> dict[str, bytes]:
        """What a server has of it."""
        return {FULL: self.blob, DELTA: self.delta_blob}

    def offer(self, blob: Source, delta: Source | None = None) -> Published:
        pair = (self.delta, delta) if self.delta is not None and delta is not None else None
        return Published("2", "the update", self.index, blob, pair)


SECTORS = SLOT // 512
LAYOUT = TwoSlots(
    Gpt(
        sectors=2048 + 2 * SECTORS + 50 + 33,
        entries={
            A: Entry(2048, 2047 + SECTORS, "USR-A", GOOD),
            B: Entry(2048 + SECTORS, 2047 + 2 * SECTORS, "USR-B", EMPTY),
            3: Entry(2048 + 2 * SECTORS, 2097 + 2 * SECTORS, "NEXT", kind=DATA),
        },
    )
)


def small_segments() -> None:
    """Segments of 256 and 128 KiB, so that small images have many. In a process of its own, or to be undone."""
    Index.SEGMENT, DeltaIndex.SEGMENT, stream.BATCH = 256 << 10, 128 << 10, 512 << 10


@functools.cache
def _empty() -> bytes:
    return bytes(LAYOUT.gpt.image())


def disk_with(path: Path, old: bytes = b"") -> bytes:
    """A disk with slots A (1/0/1), with the old image, and B (0/0/0). What it holds."""
    data = bytearray(_empty())
    place = LAYOUT.bytes_of(A)
    data[place.start : place.start + len(old)] = old
    path.write_bytes(data)
    return bytes(data)


def install(
    offer: Published,
    path: Path,
    journal: Path,
    said: list[str] | None = None,
    old: int | None = None,
    running: tuple[int, ...] = (),
) -> Installed:
    told = [] if said is None else said
    voice = Voice(lambda *_: None, tell=told.append)
    found = SlotDisk(str(path), type_guid("coreos-usr"))
    found.__dict__["running"] = running  # what it would find out of this machine
    return install_published(offer, found, "USR-B", 3, journal, voice, old=old)


def states(path: Path) -> list[tuple[int, int, int]]:
    """Priority, tries, successful of A and B."""
    with Disk.open(path) as disk:
        table = disk.table()
    found = [table.partition(number).attributes for number in (A, B)]
    return [(each.priority, each.tries, int(each.successful)) for each in found]


def others(data: bytes) -> bytes:
    """All of a disk but its tables and slot B."""
    whole, place = bytearray(data), LAYOUT.bytes_of(B)
    whole[place] = bytes(SLOT)
    return LAYOUT.without_tables(bytes(whole))


def slot_b(path: Path) -> bytes:
    return path.read_bytes()[LAYOUT.bytes_of(B)]
