"""Goes through all states of a log: how many there were, and in which of them a machine would be lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.replay.contents import SlotContent
from qemu_tests.replay.crashes import crashes_in, epochs_of
from qemu_tests.replay.tables import TableEnds
from qemu_tests.replay.verdicts import Judges

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from qemu_tests.harness.disk.recording import Recording
    from qemu_tests.replay.crashes import Crash, Epoch, Sample
    from qemu_tests.replay.places import Place

_FEW = 20
"""Failures that are kept with their state; more are only counted."""


@dataclass(frozen=True)
class Failure:
    """A state in which a machine would be lost."""

    epoch: int
    kind: str
    writes: tuple[int, ...]
    problem: str

    def __str__(self) -> str:
        return f"epoch {self.epoch}, {self.kind}, writes {list(self.writes)}: {self.problem}"


@dataclass(frozen=True)
class Exploration:
    """``states`` by kind, how many epochs and different tables there were, and the first of the ``failed`` states."""

    states: Mapping[str, int]
    epochs: int
    tables: int
    failed: int
    failures: tuple[Failure, ...]

    @property
    def total(self) -> int:
        """All states."""
        return sum(self.states.values())

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.states.items()))
        return f"{self.total} states ({kinds}) in {self.epochs} flush epochs, {self.tables} different tables, {self.failed} failed"


class _Explorer:
    def __init__(self, recording: Recording, places: Sequence[Place], folder: Path) -> None:
        base, log, size = recording.base, recording.log, recording.size
        self.epochs = list(epochs_of(recording.entries, recording.name))
        writes = [write for epoch in self.epochs for write in epoch.writes]
        self._ends = TableEnds(base, size, log)
        self._slots = {
            place.number: SlotContent(place.offset, place.length, place.versions, base, log, writes) for place in places
        }
        self.judges = Judges(size, folder)

    def problem(self, crash: Crash) -> str:
        verdict = self.judges.verdict(self._ends.state(crash.pieces))
        if verdict.problem:
            return verdict.problem
        for number in sorted(verdict.bootable):
            if not self._slots[number].whole(crash.pieces):
                when = "would" if number in verdict.booted else "could"
                return f"partition {number} {when} be booted and is not whole"
        return ""

    def apply(self, epoch: Epoch) -> None:
        self._ends.apply(epoch.kept)
        for slot in self._slots.values():
            slot.apply(epoch.kept)


def explore(
    recording: Recording,
    places: Sequence[Place],
    folder: Path,
    sample: Sample,
    tell: Callable[[int, int], None] | None = None,
) -> Exploration:
    """Look at every state. ``tell`` gets how many of how many epochs are done. Raises OSError."""
    explorer = _Explorer(recording, places, folder)
    states: Counter[str] = Counter()
    failures: list[Failure] = []
    failed = 0
    for done, epoch in enumerate(explorer.epochs, 1):
        for crash in crashes_in(epoch, sample):
            states[crash.kind] += 1
            problem = explorer.problem(crash)
            if problem:
                failed += 1
                numbers = tuple(piece.write.number for piece in crash.pieces)
                failures += [Failure(epoch.number, crash.kind, numbers, problem)] if len(failures) < _FEW else []
        explorer.apply(epoch)
        if tell is not None:
            tell(done, len(explorer.epochs))
    return Exploration(dict(states), len(explorer.epochs), explorer.judges.different, failed, tuple(failures))
