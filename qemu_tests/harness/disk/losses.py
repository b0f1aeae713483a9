"""What of the unflushed writes a power cut loses. Pure: from the writes to what is left of them.

A drive with a volatile cache may have put any of them on its medium, in any order, and a request in part, sector by sector.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from qemu_tests.harness.disk.overlay import SECTOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qemu_tests.harness.disk.log import Write


@dataclass(frozen=True, slots=True)
class Piece:
    """``length`` bytes of a write, from its byte ``start`` on, that reached the medium."""

    write: Write
    start: int
    length: int


def whole(write: Write) -> Piece:
    """All of a write."""
    return Piece(write, 0, write.length)


class Loss(Protocol):
    """Which of the unflushed writes survive. Those with FUA are not asked about: they always do."""

    def survivors(self, unflushed: Sequence[Write]) -> list[Piece]:
        """What is left of them, in their order."""


@dataclass(frozen=True)
class AllLost:
    """Nothing that was not flushed survives: what finds a missing flush."""

    def survivors(self, unflushed: Sequence[Write]) -> list[Piece]:
        """Nothing."""
        del unflushed
        return []


@dataclass(frozen=True)
class NothingLost:
    """Everything survives, flushed or not: the machine stopped, the disk did not."""

    def survivors(self, unflushed: Sequence[Write]) -> list[Piece]:
        """All of them."""
        return [whole(write) for write in unflushed]


@dataclass(frozen=True)
class NewestLost:
    """The newest ``count`` writes are lost; with ``torn``, of the one before them only the first sector survives."""

    count: int
    torn: bool = False

    def survivors(self, unflushed: Sequence[Write]) -> list[Piece]:
        """The older ones."""
        kept = [whole(write) for write in unflushed[: max(0, len(unflushed) - self.count)]]
        if self.torn and kept:
            kept[-1] = Piece(kept[-1].write, 0, SECTOR)
        return kept


@dataclass(frozen=True)
class OldestLost:
    """The oldest ``count`` writes are lost and newer ones survive: a drive that does not keep the order."""

    count: int

    def survivors(self, unflushed: Sequence[Write]) -> list[Piece]:
        """The newer ones."""
        return [whole(write) for write in unflushed[self.count :]]


@dataclass(frozen=True)
class SomeLost:
    """A choice that the seed makes: each write is lost, torn between two of its sectors, or kept. The same seed, the same choice."""

    seed: int

    def survivors(self, unflushed: Sequence[Write]) -> list[Piece]:
        """The chosen ones."""
        choice, kept = random.Random(self.seed), []  # noqa: S311  # repeatable, not secret
        for write in unflushed:
            fate = choice.choice(("kept", "lost", "torn"))
            sectors = write.length // SECTOR
            if fate == "torn" and sectors > 1:
                first = choice.randrange(sectors)
                end = choice.randrange(first + 1, sectors + 1)
                kept.append(Piece(write, first * SECTOR, (end - first) * SECTOR))
            elif fate == "kept":
                kept.append(whole(write))
        return kept
