"""A Debian with systemd and the agent updates itself from a web server: found, tried, proved; cut off; rolled back; by a difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests.story.network import scenes
from qemu_tests.story.network.pipeline import Pipeline
from qemu_tests.story.network.web import Web
from qemu_tests.story.stage import Stage
from qemu_tests.story.timeline import Timeline
from qemu_tests.suites.conftest import observer

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.plugin import MakeMachine
    from qemu_tests.report.recorder import Recorder

pytestmark = pytest.mark.vm


def test_a_machine_updates_itself_from_a_web_server(
    agent_debian: Path, tmp_path: Path, slotboot_machines: MakeMachine, slotboot_recorder: Recorder
) -> None:
    (tmp_path / "repository").mkdir()
    with Web(tmp_path / "repository") as web:
        pipeline = Pipeline(tmp_path, web)
        image = pipeline.begin(agent_debian)
        machine = slotboot_machines(image, "network-update", hardware=scenes.HARDWARE)
        scenes.update_itself(Stage(machine, Timeline(observer(machine.log, slotboot_recorder))), pipeline)
