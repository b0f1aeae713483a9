"""A few of all the states, of every kind some, to be booted."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.replay.crashes import crashes_in, epochs_of
from qemu_tests.replay.tables import HEAD, TAIL

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from qemu_tests.harness.disk.recording import Recording
    from qemu_tests.replay.crashes import Crash, Sample
    from qemu_tests.replay.places import Place

PREFIX, DROPPED, TABLE, SLOT = "prefix", "dropped", "torn in the table", "torn in a slot"
KINDS = (PREFIX, DROPPED, TABLE, SLOT)


@dataclass(frozen=True)
class Chosen:
    """A state and what it is an example of, one of ``KINDS``."""

    kind: str
    crash: Crash

    def __str__(self) -> str:
        numbers = [piece.write.number for piece in self.crash.pieces]
        shown = f"{numbers[:3]} to {numbers[-1]}" if len(numbers) > 3 else f"{numbers}"
        return f"{self.kind}: epoch {self.crash.epoch.number}, writes {shown}"

    def rebuild(self, recording: Recording, target: Path) -> Path:
        """The disk in this state, a sparse raw image. Raises OSError."""
        return recording.rebuild(self.crash.epoch.writes[0].number, self.crash.pieces, target)


def choose(recording: Recording, places: Sequence[Place], sample: Sample, count: int, *, seed: int = 1) -> list[Chosen]:
    """``count`` states or, where there are fewer, all; of every kind the same number as far as there are so many."""
    found: dict[str, list[Crash]] = {kind: [] for kind in KINDS}
    for epoch in epochs_of(recording.entries, recording.name):
        for crash in crashes_in(epoch, sample):
            kind = _kind(crash, recording.size, places)
            if kind:
                found[kind].append(crash)
    chance = random.Random(seed)  # noqa: S311  # repeatable, not secret
    for crashes in found.values():
        chance.shuffle(crashes)
    chosen: list[Chosen] = []
    while len(chosen) < count and any(found.values()):
        chosen += [Chosen(kind, found[kind].pop()) for kind in KINDS if found[kind]]
    return chosen[:count]


def _kind(crash: Crash, size: int, places: Sequence[Place]) -> str:
    if crash.kind == "prefix":
        return PREFIX
    if crash.kind != "torn":
        return DROPPED if _lacks_one(crash) else ""
    torn = next((piece for piece in crash.pieces if piece.length < piece.write.length), None)
    if torn is None:
        return ""
    at = torn.write.offset
    if at < HEAD or at >= size - TAIL:
        return TABLE
    return SLOT if any(place.offset <= at < place.offset + place.length for place in places) else ""


def _lacks_one(crash: Crash) -> bool:
    """Whether one write is missing that others came after."""
    kept = {piece.write.number for piece in crash.pieces}
    missing = [write.number for write in crash.epoch.writes if write.number not in kept]
    return len(missing) == 1 and missing[0] < crash.epoch.writes[-1].number
