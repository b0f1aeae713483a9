"""From the log of a disk to the states that a power cut can leave. Pure.

Between two flushes a drive may have put any of the writes on its medium, and a request in part. Of an epoch of few writes every
subset is a state; of more, every prefix, each write dropped, each alone, and a seeded sample. Each request is also torn: its
first sector, its first half, all but its last sector.

A write with FUA is durable when it is answered: a state without it has nothing of what was written after it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from qemu_tests.harness.disk.log import Flush, PowerOff, Write
from qemu_tests.harness.disk.losses import Piece, whole
from qemu_tests.harness.disk.overlay import SECTOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from qemu_tests.harness.disk.log import Entry


@dataclass(frozen=True, slots=True)
class Epoch:
    """The writes between two flushes. ``number`` counts from 1; ``ending`` is the entry that ends it.

    ``kept`` is what of them was on the medium then: all, but where the power was cut.
    """

    number: int
    writes: tuple[Write, ...]
    ending: int
    kept: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Crash:
    """One state: everything before the epoch is on the medium, and these pieces of it. ``kind`` says which choice that was."""

    epoch: Epoch
    kind: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Sample:
    """How many states of an epoch: all subsets of up to ``subsets`` writes, else ``others`` drawn with ``seed``.

    Each torn request is there with all before it, with all but itself, and ``torn_others`` times with a drawn choice of the others.
    """

    subsets: int = 6
    others: int = 16
    seed: int = 1
    torn_others: int = 0

    def __str__(self) -> str:
        torn = f" and {self.torn_others} choices of the others" if self.torn_others else ""
        return (
            f"all subsets of up to {self.subsets} writes, of more each prefix, each write dropped, each alone and {self.others} "
            f"seeded choices; each request torn, with what was before it, with all others{torn}"
        )


def epochs_of(entries: Iterable[Entry], disk: str) -> Iterator[Epoch]:
    """The epochs of one disk, empty ones left out. A flush, the end of the power, and a durable write with nothing before it end one."""
    writes: list[Write] = []
    number, last = 1, -1

    def epoch(ending: int, kept: tuple[Piece, ...] | None = None) -> Epoch:
        return Epoch(number, tuple(writes), ending, tuple(map(whole, writes)) if kept is None else kept)

    for entry in entries:
        last = entry.number
        if isinstance(entry, Write) and entry.disk == disk:
            writes.append(entry)
            if not (entry.durable and len(writes) == 1):
                continue
        elif not writes or not isinstance(entry, Flush | PowerOff) or entry.disk != disk:
            continue
        yield epoch(last, entry.kept if isinstance(entry, PowerOff) else None)
        number += 1
        writes.clear()
    if writes:
        yield epoch(last + 1)


def crashes_in(epoch: Epoch, sample: Sample) -> Iterator[Crash]:
    """The states within an epoch, each once, the one before its first write and the one after its last one included."""
    seen: set[tuple[Piece, ...]] = set()
    durable = [write for write in epoch.writes if write.durable]
    for kind, pieces in _choices(epoch, sample):
        if pieces not in seen and _is_possible(pieces, durable):
            seen.add(pieces)
            yield Crash(epoch, kind, pieces)


def _is_possible(pieces: Sequence[Piece], durable: Sequence[Write]) -> bool:
    """Whether nothing is there of what was written after a durable write that is not there."""
    there = {piece.write.number for piece in pieces if piece.length == piece.write.length}
    missing = next((write.number for write in durable if write.number not in there), None)
    return missing is None or all(piece.write.number <= missing for piece in pieces)


def _choices(epoch: Epoch, sample: Sample) -> Iterator[tuple[str, tuple[Piece, ...]]]:
    writes = epoch.writes
    pieces = {write.number: whole(write) for write in writes}
    kinds = _all_subsets(writes) if len(writes) <= sample.subsets else _sampled(writes, epoch, sample)
    for kind, kept in kinds:
        yield kind, tuple(pieces[write.number] for write in kept)
    chance = random.Random(f"{sample.seed} torn {epoch.number}")  # noqa: S311  # repeatable, not secret
    wholes = tuple(pieces.values())
    for at, write in enumerate(writes):
        before, after = wholes[:at], wholes[at + 1 :]
        for start, length in torn_parts(write):
            piece = Piece(write, start, length)
            yield "torn", (*before, piece)
            yield "torn", (*before, piece, *after)
            for _ in range(sample.torn_others):
                share = chance.random()
                drawn = [tuple(other for other in side if chance.random() < share) for side in (before, after)]
                yield "torn", (*drawn[0], piece, *drawn[1])


def _all_subsets(writes: Sequence[Write]) -> Iterator[tuple[str, tuple[Write, ...]]]:
    for count in range(len(writes) + 1):
        for kept in combinations(writes, count):
            yield ("prefix" if kept == tuple(writes[:count]) else "subset"), kept


def _sampled(writes: Sequence[Write], epoch: Epoch, sample: Sample) -> Iterator[tuple[str, tuple[Write, ...]]]:
    for at in range(len(writes) + 1):
        yield "prefix", tuple(writes[:at])
    for at in range(len(writes)):
        yield "dropped", (*writes[:at], *writes[at + 1 :])
        yield "alone", (writes[at],)
    chance = random.Random(f"{sample.seed} {epoch.number}")  # noqa: S311  # repeatable, not secret
    some_durable = any(write.durable for write in writes)
    for _ in range(sample.others):
        share = chance.random()
        until = writes[: chance.randrange(len(writes) + 1)] if some_durable else writes
        yield "subset", tuple(write for write in until if write.durable or chance.random() < share)


def torn_parts(write: Write) -> list[tuple[int, int]]:
    """(start, length) in bytes of the parts of a request that are looked at on their own; none of a single sector."""
    sectors = write.length // SECTOR
    ends = sorted({1, sectors // 2, sectors - 1} - {0}) if sectors > 1 else []
    return [(0, end * SECTOR) for end in ends]
