"""What the kernel is told of a changed table, and what stands for which disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gptlib import (
    Attributes,
    Guid,
    Partition,
    Table,
    TargetError,
    type_guid,
)
from gptlib.kernel import ADD, DELETE, RESIZE, Extent, Step, kernel_view, plan_sync
from gptlib.resolve import Target, resolve_target

USR = type_guid("coreos-usr")


def partition(first: int, sectors: int, label: str = "") -> Partition:
    return Partition(USR, Guid.random(), first, first + sectors - 1, Attributes(0), label)


def table(*partitions: Partition) -> Table:
    new = Table.new(total_sectors=100000)
    for one in partitions:
        new = new.add(one)
    return new


def test_the_kernel_is_told_removals_first_and_only_of_what_differs() -> None:
    new = table(partition(2048, 100), partition(4096, 200), partition(8192, 300), partition(10000, 1))
    known = {
        1: Extent(2048 * 512, 100 * 512),
        2: Extent(4096 * 512, 100 * 512),
        3: Extent(6000 * 512, 300 * 512),
        9: Extent(20000 * 512, 512),
    }
    assert list(plan_sync(known, new)) == [
        Step(DELETE, 3, known[3]),
        Step(DELETE, 9, known[9]),
        Step(RESIZE, 2, Extent(4096 * 512, 200 * 512)),
        Step(ADD, 3, Extent(8192 * 512, 300 * 512)),
        Step(ADD, 4, Extent(10000 * 512, 512)),
    ]
    assert list(plan_sync({1: known[1]}, table(partition(2048, 100)))) == []


def fake_sysfs(directory: Path) -> Path:
    """A disk 8:0 called cciss!c0d0 with its partition 3, and one that is only half there."""
    disk = directory / "devices" / "cciss!c0d0"
    for name, values in {
        "cciss!c0d0p3": {"partition": 3, "start": 4096, "size": 8192},
        "cciss!c0d0p4": {"partition": 4},
    }.items():
        (disk / name).mkdir(parents=True)
        for attribute, value in values.items():
            (disk / name / attribute).write_text(f"{value}\n")
    block = directory / "block"
    block.mkdir()
    (block / "8:0").symlink_to(disk)
    return block


def test_the_kernel_s_partitions_are_read_from_sysfs(tmp_path: Path) -> None:
    sysfs = fake_sysfs(tmp_path)
    assert kernel_view(os.makedev(8, 0), sysfs=str(sysfs)) == {3: Extent(4096 * 512, 8192 * 512)}


def test_without_sysfs_nothing_is_told_to_the_kernel(tmp_path: Path) -> None:
    assert kernel_view(os.makedev(8, 0), sysfs=str(tmp_path)) is None


def test_a_partition_whose_disk_has_no_node_is_refused(tmp_path: Path) -> None:
    """The nodes of the machine that runs the test: any block device, called a partition by a made-up sysfs."""
    node = next((path for path in Path("/dev").iterdir() if path.is_block_device()), None)
    if node is None:
        return
    number = node.stat().st_rdev
    entry = tmp_path / "devices" / "sdx" / "sdx3"
    entry.mkdir(parents=True)
    (entry / "partition").write_text("3\n")
    block = tmp_path / "block"
    block.mkdir()
    (block / f"{os.major(number)}:{os.minor(number)}").symlink_to(entry)
    with pytest.raises(TargetError, match=r"is partition 3 of .*/sdx, which has no device node"):
        resolve_target(str(node), sysfs=str(block), dev=str(tmp_path))
    (tmp_path / "sdx").touch()
    assert resolve_target(str(node), sysfs=str(block), dev=str(tmp_path)) == Target(str(tmp_path / "sdx"), 3)


def test_an_image_file_is_its_own_target(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    path.touch()
    assert resolve_target(str(path)) == Target(str(path), None)
