"""What was recorded of a machine that updates itself: every state looked at, and the same record broken on purpose, which has to be found."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from qemu_tests.harness.disk.log import Flush, Write
from qemu_tests.replay.crashes import Sample
from qemu_tests.replay.explore import explore
from qemu_tests.replay.reporting import replay_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from qemu_tests.harness.disk.log import Entry
    from qemu_tests.harness.disk.recording import Recording
    from qemu_tests.replay.explore import Exploration
    from qemu_tests.replay.places import Place
    from qemu_tests.report.recorder import Recorder

FULL = "SLOTBOOT_FULL" in os.environ
SAMPLE = Sample(subsets=12, others=2_000, torn_others=40) if FULL else Sample(subsets=6, others=16)
FEW = Sample(subsets=2, others=2)
LAST = 100
"""Writes of a slot that the broken records are about."""


def no_state_is_bad(
    recording: Recording,
    places: Sequence[Place],
    folder: Path,
    name: str,
    recorder: Recorder,
    record_property: Callable[[str, object], None],
) -> Exploration:
    """In each the readers agree on the table, a slot boots, and every slot that would ever be booted, the active one too, is whole."""
    found = explore(recording, places, folder, SAMPLE)
    recorder.replay(replay_of(found, recording, places, name, f"of each flush epoch: {SAMPLE}"))
    record_property("counted", f"replay of {name}: {found}")
    assert found.failures == ()
    assert found.failed == 0
    return found


def broken_records_are_found(
    recording: Recording, active: Place, passive: Place, places: Sequence[Place], folder: Path
) -> None:
    """``passive`` was filled and armed while ``active`` ran: a proof that cannot fail is none."""
    for what, entries in (
        ("no flush before arming", without_flushes(recording, passive)),
        ("armed before the last write", written_last(recording, passive)),
        ("the active slot is written", with_write_to(recording, active, passive)),
    ):
        found = explore(replace(recording, entries=entries), places, folder, FEW)
        assert found.failed > 0, f"{what}: {found}"


def writes_to(recording: Recording, place: Place) -> list[int]:
    """Where in the entries they are."""
    return [
        at
        for at, entry in enumerate(recording.entries)
        if isinstance(entry, Write) and place.offset <= entry.offset < place.offset + place.length
    ]


def without_flushes(recording: Recording, place: Place) -> tuple[Entry, ...]:
    """None from before the last writes of the slot on: what arms it may be on the disk before they are."""
    first = writes_to(recording, place)[-LAST:][0]
    return (
        *recording.entries[:first],
        *(entry for entry in recording.entries[first:] if not isinstance(entry, Flush)),
    )


def written_last(recording: Recording, place: Place) -> tuple[Entry, ...]:
    """The last write of the slot comes at the very end."""
    at = writes_to(recording, place)[-1]
    return (*recording.entries[:at], *recording.entries[at + 1 :], recording.entries[at])


def with_write_to(recording: Recording, place: Place, passive: Place) -> tuple[Entry, ...]:
    """A sector of the active slot is written while the other one is."""
    at = writes_to(recording, passive)[-1]
    write = recording.log.write(recording.name, place.offset + place.length // 2, b"\x5a" * 512)
    return (*recording.entries[:at], write, *recording.entries[at:])
