"""The story of an A/B disk, on the default image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests.harness.judges import agree_whole
from qemu_tests.story import scenes
from qemu_tests.story.materials import GOOD

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.harness.hardware import DirectKernel
    from qemu_tests.harness.machine.frozen import Frozen
    from qemu_tests.story.materials import Materials
    from qemu_tests.suites.conftest import MakeStage

pytestmark = pytest.mark.vm
HEADER, ENTRIES = 1, 2
"""The sectors of the primary GPT that change when a slot is armed."""

# The order matters for the time only: with two workers the second one begins with what needs no updated disk.


def test_a_good_update_takes_over_and_stays(updated_disk: Path, stage: MakeStage) -> None:
    stage("good-update-after", updated_disk).disk(scenes.UPDATED, "as the good update left it")


@pytest.mark.parametrize("breakage", scenes.BREAKAGES[:-1], ids=lambda breakage: breakage.name)
def test_a_broken_update_is_tried_three_times_and_rolled_back(
    breakage: scenes.Breakage, updated_disk: Path, materials: Materials, stage: MakeStage
) -> None:
    """The last one, whose health check fails, is played in ``test_replay``. One is enough to see the firmware in it."""
    disk = stage(f"broken-{breakage.name}", updated_disk, quick=breakage.name != "panic")
    scenes.broken_update(disk, materials.updates[breakage.name], breakage)


def test_a_power_cut_while_a_slot_is_written_leaves_the_other_one_bootable(
    updated_disk: Path, updated_up: Frozen, materials: Materials, stage: MakeStage
) -> None:
    disk = stage("cut-while-writing", updated_disk, warm=updated_up)
    scenes.cut_while_writing(disk, materials.updates["unhealthy"])


def test_a_power_cut_right_after_the_arm_loses_nothing(
    materials: Materials, fresh_up: Frozen, stage: MakeStage
) -> None:
    scenes.cut_after_arm(stage("cut-after-arm", materials.image, warm=fresh_up), materials.updates[GOOD])


@pytest.mark.parametrize(("sector", "armed"), [(HEADER, False), (ENTRIES, True)], ids=["header", "entries"])
def test_a_power_cut_within_the_arm_leaves_the_old_or_the_new_choice(
    sector: int, *, armed: bool, materials: Materials, fresh_up: Frozen, stage: MakeStage
) -> None:
    disk = stage(f"cut-within-arm-{sector}", materials.image, warm=fresh_up)
    scenes.cut_within_arm(disk, materials.updates[GOOD], sector, armed=armed)


def test_a_half_written_primary_is_used_around_and_repaired_without_the_help_of_firmware(
    materials: Materials, fresh_up: Frozen, kernel: DirectKernel, stage: MakeStage
) -> None:
    disk = stage("cut-within-arm-no-uefi", materials.image, warm=fresh_up)
    scenes.cut_within_arm(disk, materials.updates[GOOD], ENTRIES, armed=True, kernel=kernel)


def test_a_destroyed_copy_of_the_table_is_no_reason_not_to_boot(updated_disk: Path, stage: MakeStage) -> None:
    scenes.damaged_table(stage("damaged", updated_disk))


def test_a_destroyed_copy_is_used_around_and_repaired_without_the_help_of_firmware(
    updated_disk: Path, kernel: DirectKernel, stage: MakeStage
) -> None:
    scenes.damaged_table(stage("damaged-no-uefi", updated_disk), kernel)


def test_a_copy_destroyed_under_the_running_system_is_repaired_by_its_next_write(
    updated_disk: Path, updated_up: Frozen, stage: MakeStage
) -> None:
    scenes.damaged_while_running(stage("damaged-running", updated_disk, warm=updated_up))


def test_nothing_of_all_this_touches_the_image(materials: Materials) -> None:
    assert agree_whole(materials.image).slots == scenes.FRESH
