"""A Debian with systemd and the agent updates itself from a web server: found, tried, proved; cut off; rolled back; by a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests.replay.places import places_of
from qemu_tests.story.network import scenes
from qemu_tests.story.network.pipeline import Pipeline
from qemu_tests.story.network.web import Web
from qemu_tests.story.stage import Stage
from qemu_tests.story.timeline import Timeline
from qemu_tests.suites.conftest import observer
from qemu_tests.suites.explored import no_state_is_bad

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qemu_tests.plugin import MakeMachine
    from qemu_tests.report.recorder import Recorder

pytestmark = pytest.mark.vm


def test_a_machine_updates_itself_from_a_web_server(
    agent_debian: Path,
    tmp_path: Path,
    slotboot_machines: MakeMachine,
    slotboot_recorder: Recorder,
    record_property: Callable[[str, object], None],
) -> None:
    """In no state that a power cut could have left the disk in, all the time, a machine is lost."""
    (tmp_path / "repository").mkdir()
    with Web(tmp_path / "repository") as web:
        pipeline = Pipeline(tmp_path, web)
        image = pipeline.begin(agent_debian)
        machine = slotboot_machines(image, "network-update", hardware=scenes.HARDWARE)
        scenes.update_itself(Stage(machine, Timeline(observer(machine.log, slotboot_recorder))), pipeline)
    places = places_of(image, [pipeline.slot(version) for version in ("1.1", "1.2", "1.3")])
    name = "three updates from the network and a rollback"
    no_state_is_bad(machine.disk.recording(), places, tmp_path, name, slotboot_recorder, record_property)
