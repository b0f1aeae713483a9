"""An update from the network and the power: cut while it is installed and while it is armed, and every state of all of that looked at.

The disk records each write and flush of the guest. A proof that cannot fail is none: the same record, with its flushes left out or with
the slot armed before it is written, has states in which a half-written slot boots.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from qemu_tests.harness.disk.log import Flush, Write
from qemu_tests.replay.crashes import Sample
from qemu_tests.replay.explore import Exploration, explore
from qemu_tests.replay.places import places_of
from qemu_tests.replay.reporting import replay_of
from qemu_tests.story.network import scenes
from qemu_tests.story.network.pipeline import Pipeline
from qemu_tests.story.network.power import cut_off_again_and_again, cuts
from qemu_tests.story.network.web import Web
from qemu_tests.story.stage import Stage
from qemu_tests.story.timeline import Timeline
from qemu_tests.suites.conftest import observer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from qemu_tests.harness.disk.log import Entry
    from qemu_tests.harness.disk.recording import Recording
    from qemu_tests.plugin import MakeMachine
    from qemu_tests.replay.places import Place
    from qemu_tests.report.recorder import Recorder

pytestmark = pytest.mark.vm
FULL = "SLOTBOOT_FULL" in os.environ
SAMPLE = Sample(subsets=12, others=2_000, torn_others=40) if FULL else Sample(subsets=6, others=16)


def test_the_power_fails_while_an_update_is_installed_and_armed_and_no_state_of_the_disk_is_bad(
    agent_debian: Path,
    tmp_path: Path,
    slotboot_machines: MakeMachine,
    slotboot_recorder: Recorder,
    record_property: Callable[[str, object], None],
) -> None:
    (tmp_path / "repository").mkdir()
    with Web(tmp_path / "repository") as web:
        pipeline = Pipeline(tmp_path, web)
        image = pipeline.begin(agent_debian)
        pipeline.release("1.1")
        update = pipeline.slot("1.1")
        places = places_of(image, [update])
        place = places[1]
        machine = slotboot_machines(image, "network-power", hardware=scenes.HARDWARE)
        played = Stage(machine, Timeline(observer(machine.log, slotboot_recorder)))
        moments = cuts(place, update.stat().st_size, machine.disk.size)
        cut_off_again_and_again(played, pipeline, place, moments)
    recording = machine.disk.recording()
    found = explore(recording, places, tmp_path, SAMPLE)
    name = "an update from the network, cut off five times"
    slotboot_recorder.replay(replay_of(found, recording, places, name, f"of each flush epoch: {SAMPLE}"))
    record_property("counted", f"replay of {name}: {found}")
    assert found.failures == ()
    assert found.total >= 1_000

    for what, entries in (
        ("no flush", without_flushes(recording, place)),
        ("armed first", armed_first(recording, place)),
        ("the active slot is written", with_write_to(recording, places[0])),
    ):
        broken = look_at(replace(recording, entries=entries), places, tmp_path)
        assert broken.failed > 0, f"{what}: {broken}"


def look_at(recording: Recording, places: Sequence[Place], folder: Path) -> Exploration:
    return explore(recording, places, folder, Sample(subsets=2, others=2))


def last_write(recording: Recording, place: Place) -> int:
    """Where in the entries the last write to a slot is."""
    ours = [
        isinstance(entry, Write) and place.offset <= entry.offset < place.offset + place.length
        for entry in recording.entries
    ]
    return max(at for at, is_ours in enumerate(ours) if is_ours)


def without_flushes(recording: Recording, place: Place) -> tuple[Entry, ...]:
    """None from before the last 100 writes of the slot on: what arms it may be on the disk before they are."""
    at = last_write(recording, place)
    first = [number for number, entry in enumerate(recording.entries[:at]) if isinstance(entry, Write)][-100]
    kept = [entry for entry in recording.entries[first:] if not isinstance(entry, Flush)]
    return (*recording.entries[:first], *kept)


def armed_first(recording: Recording, place: Place) -> tuple[Entry, ...]:
    """The last write of the slot comes at the very end."""
    at = last_write(recording, place)
    return (*recording.entries[:at], *recording.entries[at + 1 :], recording.entries[at])


def with_write_to(recording: Recording, place: Place) -> tuple[Entry, ...]:
    """A sector of another slot is written before the last write of all."""
    write = recording.log.write(recording.name, place.offset + place.length // 2, b"\x5a" * 512)
    return (*recording.entries[:-1], write, recording.entries[-1])
