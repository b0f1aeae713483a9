"""The story of a cluster of four machines that updates itself, one machine after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qemu_tests.story.cluster.machines import Machines
from qemu_tests.story.cluster.scenes import Story
from qemu_tests.story.cluster.watching import ETCD, WEBSITE, Watch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qemu_tests.story.network.pipeline import Pipeline
    from qemu_tests.story.stage import Stage


def play(stages: Mapping[str, Stage], pipeline: Pipeline) -> None:
    """All of it, with machines that are switched off, on disks with version 1. Raises StoryError, and as machines do."""
    for stage in stages.values():
        stage.boot("power on")
    with (
        Machines(stages) as machines,
        Watch(machines.addresses(ETCD), machines.addresses(WEBSITE)) as watch,
    ):
        story = Story(machines, watch, pipeline)
        story.come_up()
        story.take("2")
        story.stop("3")
    story.end()
