"""The article's cluster: four machines with etcd on three of them update themselves one after the other, and stop at a broken version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qemu_tests.harness.network.network import Network
from qemu_tests.harness.shared import shared_result
from qemu_tests.story.cluster import play
from qemu_tests.story.cluster.machines import ADDRESSES, NAMES, hardware
from qemu_tests.story.cluster.system import cluster_tarball, recipe
from qemu_tests.story.network.pipeline import Pipeline
from qemu_tests.story.network.web import Web
from qemu_tests.story.stage import Stage
from qemu_tests.story.timeline import UP, Timeline
from qemu_tests.suites.conftest import observer

if TYPE_CHECKING:
    from collections.abc import Callable

    from qemu_tests.plugin import MakeMachine
    from qemu_tests.report.recorder import Recorder

pytestmark = pytest.mark.vm


@pytest.fixture(scope="session")
def tarball(slotboot_folder: Path) -> Path:
    return Path(shared_result(slotboot_folder, "debian-cluster", lambda: str(cluster_tarball())))


def test_four_machines_update_themselves_one_after_the_other_and_stop_at_a_broken_version(
    tarball: Path,
    tmp_path: Path,
    slotboot_machines: MakeMachine,
    slotboot_recorder: Recorder,
    record_property: Callable[[str, object], None],
) -> None:
    (tmp_path / "repository").mkdir()
    with Web(tmp_path / "repository") as web, Network(capture=tmp_path / "net.pcap") as network:
        pipeline = Pipeline(tmp_path, web, recipe(ADDRESSES))
        image = pipeline.begin(tarball, "1")
        stages, timelines = {}, {}
        for name in NAMES:
            machine = slotboot_machines(image, name, hardware=hardware(network))
            timelines[name] = Timeline(observer(machine.log, slotboot_recorder))
            stages[name] = Stage(machine, timelines[name])
        found = [str(host.address) for host in network.hosts.values()]
        assert found == list(ADDRESSES.values())
        play(stages, pipeline)
    for moment in timelines[NAMES[-1]].moments:
        if moment.kind == UP:
            record_property("counted", f"cluster, after {moment.seconds:.0f} s: {moment.text}")
