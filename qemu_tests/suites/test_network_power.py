"""An update from the network and the power: cut while it is installed and while it is armed, and every state of all of that looked at.

The disk records each write and flush of the guest. A proof that cannot fail is none: the same record, with its flushes left out or with
the slot armed before it is written, has states in which a half-written slot boots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests.replay.places import places_of
from qemu_tests.story.network import scenes
from qemu_tests.story.network.pipeline import Pipeline
from qemu_tests.story.network.power import cut_off_again_and_again, cuts
from qemu_tests.story.network.web import Web
from qemu_tests.story.stage import Stage
from qemu_tests.story.timeline import Timeline
from qemu_tests.suites.conftest import observer
from qemu_tests.suites.explored import FULL, broken_records_are_found, no_state_is_bad

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qemu_tests.plugin import MakeMachine
    from qemu_tests.report.recorder import Recorder

pytestmark = pytest.mark.vm
CHOSEN = (1, 3, 4)
"""Of the moments, where not all are looked at: in the middle of the slot, and twice in the table. Each costs a boot."""


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
        chosen = moments if FULL else [moments[number] for number in CHOSEN]
        cut_off_again_and_again(played, pipeline, place, chosen)
    recording = machine.disk.recording()
    name = f"an update from the network, cut off {len(chosen)} times"
    found = no_state_is_bad(recording, places, tmp_path, name, slotboot_recorder, record_property)
    assert found.total >= 1_000
    broken_records_are_found(recording, places[0], place, places, tmp_path)
