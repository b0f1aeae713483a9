"""Goes through all states of a log: how many there were, and in which of them a machine would be lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.harness.disk.log import Write
from qemu_tests.harness.disk.recording import Medium
from qemu_tests.replay.contents import SlotContent
from qemu_tests.replay.crashes import crashes_in, epochs_of
from qemu_tests.replay.store import store_states
from qemu_tests.replay.tables import TableEnds
from qemu_tests.replay.verdicts import HALF, STORE, Judges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from qemu_tests.harness.disk.losses import Piece
    from qemu_tests.harness.disk.recording import Recording
    from qemu_tests.replay.crashes import Epoch, Sample
    from qemu_tests.replay.places import Place

_FEW = 20
"""Failures that are kept with their state; more are only counted."""


@dataclass(frozen=True)
class Failure:
    """A state in which a machine would be lost. ``epoch`` is 0 for one of the variable store."""

    epoch: int
    kind: str
    writes: tuple[int, ...]
    problem: str

    def __str__(self) -> str:
        return f"epoch {self.epoch}, {self.kind}, writes {list(self.writes)}: {self.problem}"


@dataclass(frozen=True)
class Exploration:
    """``states`` by kind, how many epochs and different tables there were, and the first of the ``failed`` states.

    ``by_write``: for each write of the flow, how many states had which verdict (``verdicts.GOOD`` and ``BAD``) and it as the newest
    one of which something was on the medium.
    """

    states: Mapping[str, int]
    epochs: int
    tables: int
    failed: int
    failures: tuple[Failure, ...]
    by_write: Mapping[Write, Mapping[str, int]]

    @property
    def total(self) -> int:
        """All states."""
        return sum(self.states.values())

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.states.items()))
        return f"{self.total} states ({kinds}) in {self.epochs} flush epochs, {self.tables} different tables, {self.failed} failed"


class _Contents:
    """What is durable of the tables and the slots, as far as a log was gone through."""

    def __init__(self, recording: Recording, places: Sequence[Place], judges: Judges) -> None:
        base, log, size = recording.base, recording.log, recording.size
        writes = [entry for entry in recording.entries if isinstance(entry, Write) and entry.disk == recording.name]
        self._ends = TableEnds(base, size, log)
        self._slots = {
            place.number: SlotContent(place.offset, place.length, place.versions, base, log, writes) for place in places
        }
        self._judges = judges

    def look(self, pieces: Sequence[Piece] = ()) -> tuple[str, str]:
        """What is found with ``pieces`` over what is durable, and the problem with it, which may be empty."""
        verdict = self._judges.verdict(self._ends.state(pieces))
        if not verdict.problem:
            for number in sorted(verdict.bootable):
                if not self._slots[number].whole(pieces):
                    when = "would" if number in verdict.booted else "could"
                    return HALF, f"partition {number} {when} be booted and is not whole"
        return verdict.found, verdict.problem

    def apply(self, pieces: Sequence[Piece]) -> None:
        self._ends.apply(pieces)
        for slot in self._slots.values():
            slot.apply(pieces)


class _Counts:
    def __init__(self, writes: Iterable[Write]) -> None:
        self.states: Counter[str] = Counter()
        self.by_write: dict[Write, Counter[str]] = {write: Counter() for write in writes}
        self.failures: list[Failure] = []
        self.failed = 0

    def count(self, newest: Write, found: str, failure: Failure) -> None:
        self.states[failure.kind] += 1
        self.by_write[newest][found] += 1
        if failure.problem:
            self.failed += 1
            self.failures += [failure] if len(self.failures) < _FEW else []


def explore(
    recording: Recording,
    places: Sequence[Place],
    folder: Path,
    sample: Sample,
    tell: Callable[[int, int], None] | None = None,
    *,
    store: Recording | None = None,
) -> Exploration:
    """Look at every state. ``tell`` gets how many of how many epochs are done. Raises OSError.

    ``store``: the variable store of the firmware, over the same log. Each of its writes is looked at as well: before it, after it and
    torn, with what is durable of the disk at that moment.
    """
    judges = Judges(recording.size, folder)
    names = {each.name for each in (recording, store) if each is not None}
    counts = _Counts(entry for entry in recording.entries if isinstance(entry, Write) and entry.disk in names)
    epochs = list(epochs_of(recording.entries, recording.name))
    contents = _Contents(recording, places, judges)
    for done, epoch in enumerate(epochs, 1):
        _explore_epoch(epoch, sample, contents, counts)
        contents.apply(epoch.kept)
        if tell is not None:
            tell(done, len(epochs))
    if store is not None:
        _explore_store(recording, store, _Contents(recording, places, judges), counts)
    return Exploration(
        *(dict(counts.states), len(epochs), judges.different, counts.failed, tuple(counts.failures)),
        {write: dict(found) for write, found in counts.by_write.items()},
    )


def _explore_epoch(epoch: Epoch, sample: Sample, contents: _Contents, counts: _Counts) -> None:
    for crash in crashes_in(epoch, sample):
        found, problem = contents.look(crash.pieces)
        numbers = tuple(piece.write.number for piece in crash.pieces)
        newest = crash.pieces[-1].write if crash.pieces else epoch.writes[0]
        counts.count(newest, found, Failure(epoch.number, crash.kind, numbers, problem))


def _explore_store(recording: Recording, store: Recording, contents: _Contents, counts: _Counts) -> None:
    """In the order of the log: what is durable of the disk changes only with its own entries, so it is judged once for each write."""
    medium, states = Medium(recording.name), store_states(store)
    for entry in recording.entries:
        pieces = medium.after(entry)
        if pieces:
            contents.apply(pieces)
        if not isinstance(entry, Write) or entry.disk != store.name:
            continue
        found, problem = contents.look()
        for state in states[entry]:
            bad = state.problem or problem
            failure = Failure(0, f"store {state.kind}", (entry.number,), bad)
            counts.count(entry, STORE if state.problem else found, failure)
