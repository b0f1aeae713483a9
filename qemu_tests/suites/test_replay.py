"""A whole life of a machine, and every state in which a power cut could have left its disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gptlib import Disk
from qemu_tests.harness.disk.overlay import RawImage
from qemu_tests.replay.contents import Version
from qemu_tests.replay.crashes import Sample
from qemu_tests.replay.explore import Place, explore
from qemu_tests.story import scenes
from qemu_tests.story.materials import GOOD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qemu_tests.story.materials import Materials
    from qemu_tests.suites.conftest import MakeStage

pytestmark = pytest.mark.vm
UNHEALTHY = next(breakage for breakage in scenes.BREAKAGES if breakage.name == "unhealthy")


def places(materials: Materials, folder: Path) -> list[Place]:
    """The slots of the built image, with what they may hold: what was built, and either update."""
    updates = [materials.updates[name].with_suffix(".slot") for name in (GOOD, UNHEALTHY.name)]
    found = []
    with Disk.open(materials.image) as disk:
        table = disk.table()
    for label in ("USR-A", "USR-B"):
        (number,) = table.find(label=label)
        offset, length = table.partition(number).first_lba * 512, table.partition(number).sectors * 512
        built = folder / f"{label}.built"
        with materials.image.open("rb") as image:
            image.seek(offset)
            built.write_bytes(image.read(length))
        versions = [Version(path.name, RawImage(path), path.stat().st_size) for path in updates]
        found.append(Place(number, offset, length, [Version("as built", RawImage(built), length), *versions]))
    return found


def test_in_every_state_of_two_updates_and_a_rollback_the_machine_boots(
    materials: Materials, stage: MakeStage, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Install, arm, reboot, select, mark good; a second update that is never healthy; rollback."""
    played = stage("replayed", materials.image)
    scenes.first_boot(played, materials.updates[GOOD])
    scenes.update(played)
    scenes.broken_update(played, materials.updates[UNHEALTHY.name], UNHEALTHY)
    full = "SLOTBOOT_FULL" in os.environ
    sample = Sample(subsets=12, others=10_000) if full else Sample(subsets=6, others=40)
    found = explore(played.machine.disk.recording(), places(materials, tmp_path), tmp_path, sample)
    record_property("counted", f"replay of two updates and a rollback: {found}")
    assert found.failures == ()
    assert found.failed == 0
    assert found.total >= (100_000 if full else 1_000)
