"""What was explored as a replay of the report: a column for each write, a row for each verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qemu_tests.replay.tables import HEAD, TAIL
from qemu_tests.replay.verdicts import BAD, GOOD
from qemu_tests.report.model import Verdict
from qemu_tests.report.recorder import ReplayCounter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qemu_tests.harness.disk.log import Write
    from qemu_tests.harness.disk.recording import Recording
    from qemu_tests.replay.explore import Exploration
    from qemu_tests.replay.places import Place
    from qemu_tests.report.model import Replay

_SECTOR = 512


def replay_of(found: Exploration, recording: Recording, places: Sequence[Place], name: str, scope: str) -> Replay:
    """The replay; bad verdicts that no state had are left out. ``scope`` says which states were made."""
    seen = {verdict for counts in found.by_write.values() for verdict in counts}
    verdicts = [Verdict(text, text in BAD) for text in (*GOOD, *BAD) if text in GOOD or text in seen]
    counter = ReplayCounter(name, scope, verdicts)
    of_store = False
    for write, counts in found.by_write.items():
        before, of_store = of_store, write.disk != recording.name
        # A boot programs its variables in thousands of writes of a word: those that follow each other are one column.
        if not (before and of_store):
            where = place_of(write, recording, places)
            counter.write(
                "variables" if of_store else f"{write.length} bytes at {write.offset} of the {write.disk}: {where}"
            )
        for verdict, states in counts.items():
            counter.count(verdict, states)
    return counter.replay()


def place_of(write: Write, recording: Recording, places: Sequence[Place]) -> str:
    """What is written there, in a few words."""
    if write.disk != recording.name:
        return "variables"
    at, end = write.offset, recording.size
    ends = [
        (0, _SECTOR, "protective MBR"),
        (_SECTOR, 2 * _SECTOR, "primary header"),
        (2 * _SECTOR, HEAD, "primary entries"),
        (end - TAIL, end - _SECTOR, "backup entries"),
        (end - _SECTOR, end, "backup header"),
    ]
    slots = [(place.offset, place.offset + place.length, f"slot in partition {place.number}") for place in places]
    return next((text for first, last, text in (*ends, *slots) if first <= at < last), "other partitions")
