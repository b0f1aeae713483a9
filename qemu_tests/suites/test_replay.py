"""A whole life of a machine, and every state in which a power cut could have left its disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from qemu_tests.replay.crashes import Sample
from qemu_tests.replay.explore import explore
from qemu_tests.replay.places import places_of
from qemu_tests.story import scenes
from qemu_tests.story.materials import GOOD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qemu_tests.story.materials import Materials
    from qemu_tests.suites.conftest import MakeStage

pytestmark = pytest.mark.vm
UNHEALTHY = next(breakage for breakage in scenes.BREAKAGES if breakage.name == "unhealthy")


def test_in_every_state_of_two_updates_and_a_rollback_the_machine_boots(
    materials: Materials, stage: MakeStage, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Install, arm, reboot, select, mark good; a second update that is never healthy; rollback."""
    played = stage("replayed", materials.image)
    scenes.first_boot(played, materials.updates[GOOD])
    scenes.update(played)
    scenes.broken_update(played, materials.updates[UNHEALTHY.name], UNHEALTHY)
    updates = [materials.updates[name].with_suffix(".slot") for name in (GOOD, UNHEALTHY.name)]
    full = "SLOTBOOT_FULL" in os.environ
    sample = Sample(subsets=12, others=10_000) if full else Sample(subsets=6, others=40)
    found = explore(played.machine.disk.recording(), places_of(materials.image, updates), tmp_path, sample)
    record_property("counted", f"replay of two updates and a rollback: {found}")
    assert found.failures == ()
    assert found.failed == 0
    assert found.total >= (100_000 if full else 1_000)
