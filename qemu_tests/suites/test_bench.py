"""What the harness promises of its machines, shown with the default image: faults, power cuts, and the probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gptlib import Disk
from qemu_tests.harness.accel import probe
from qemu_tests.harness.disk.faults import BadSector, CutAt
from qemu_tests.harness.disk.losses import NewestLost

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.harness.disk.machine_disk import MachineDisk
    from qemu_tests.harness.machine.frozen import Frozen
    from qemu_tests.scopes import ScopeMachines
    from qemu_tests.story.materials import Materials

pytestmark = pytest.mark.vm
BETWEEN = 2048
"""Sectors between the places that are written, so that each is in a page of its own."""


def write(sector: int, text: str, *, flush: bool) -> str:
    """Write a sector of the disk; direct, so that it leaves the guest at once, flushed or not."""
    flags = "oflag=direct conv=notrunc,fsync" if flush else "oflag=direct conv=notrunc"
    return f"printf %-512s {text} | dd of=/dev/vda bs=512 seek={sector} {flags} 2>&1"


@pytest.fixture
def free(materials: Materials) -> int:
    """The first sector of the empty slot, which nobody misses."""
    with Disk.open(materials.image) as disk:
        table = disk.table()
    return table.partition(table.find(label="USR-B")[0]).first_lba


def word_at(disk: MachineDisk, sector: int, folder: Path) -> str:
    with disk.export(folder / "all.raw").open("rb") as file:
        file.seek(sector * 512)
        return file.read(512).rstrip(b" \0").decode()


def test_a_power_cut_keeps_what_was_flushed_and_loses_what_was_not(
    fresh_up: Frozen, slotboot_machines: ScopeMachines, free: int, tmp_path: Path
) -> None:
    machine = slotboot_machines.woken(fresh_up, "bench-power-cut")
    flushed, unflushed = free, free + BETWEEN
    machine.wake(fresh_up)
    assert machine.run(write(flushed, "flushed", flush=True)).exit == 0
    assert machine.run(write(unflushed, "unflushed", flush=False)).exit == 0
    machine.power_cut()
    assert word_at(machine.disk, flushed, tmp_path) == "flushed"
    assert word_at(machine.disk, unflushed, tmp_path) == ""


def test_a_power_cut_loses_a_second_write_of_a_sector_that_was_flushed(
    fresh_up: Frozen, slotboot_machines: ScopeMachines, free: int, tmp_path: Path
) -> None:
    """What a layer of clusters would keep: the primary table is such a place."""
    machine = slotboot_machines.woken(fresh_up, "bench-second-write")
    machine.wake(fresh_up)
    assert machine.run(write(free, "first", flush=True)).exit == 0
    assert machine.run(write(free, "second", flush=False)).exit == 0
    machine.power_cut()
    assert word_at(machine.disk, free, tmp_path) == "first"


def test_a_cut_at_a_sector_keeps_what_was_flushed_before_it(
    fresh_up: Frozen, slotboot_machines: ScopeMachines, free: int, tmp_path: Path
) -> None:
    machine = slotboot_machines.woken(fresh_up, "bench-cut-at")
    flushed, unflushed, struck = free, free + BETWEEN, free + 2 * BETWEEN
    machine.wake(fresh_up, faults=[CutAt(struck)])
    orders = [write(flushed, "flushed", flush=True), write(unflushed, "unflushed", flush=False)]
    machine.order("; ".join([*orders, write(struck, "struck", flush=True)]))
    machine.wait_for_freeze()
    machine.power_cut(NewestLost(0))
    assert [word_at(machine.disk, place, tmp_path) for place in (flushed, unflushed, struck)] == [
        "flushed",
        "unflushed",
        "",
    ]


def test_looking_at_a_running_machine_makes_nothing_durable(
    fresh_up: Frozen, slotboot_machines: ScopeMachines, free: int, tmp_path: Path
) -> None:
    machine = slotboot_machines.woken(fresh_up, "bench-look")
    machine.wake(fresh_up)
    assert machine.run(write(free, "unflushed", flush=False)).exit == 0
    machine.judge()
    assert (
        machine.run(f"dd if=/dev/vda bs=512 skip={free} count=1 iflag=direct 2>/dev/null").output.strip() == "unflushed"
    )
    machine.power_cut()
    assert word_at(machine.disk, free, tmp_path) == ""


def test_a_bad_sector_fails_each_time_and_nothing_else_does(
    fresh_up: Frozen, slotboot_machines: ScopeMachines, free: int
) -> None:
    machine = slotboot_machines.woken(fresh_up, "bench-bad-sector")
    machine.wake(fresh_up, faults=[BadSector(free)])
    for _ in range(2):
        result = machine.run(write(free, "bad", flush=True))
        assert result.exit != 0
        assert "I/O error" in result.output or "Input/output error" in result.output
    assert machine.run(write(free + BETWEEN, "good", flush=True)).exit == 0


def test_the_probe_really_runs_a_guest() -> None:
    found = probe()
    assert found.name in {"kvm", "tcg"}
    assert "a guest ran" in found.reason
