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
from gptlib.linux.kernel import ADD, DELETE, RESIZE, Extent, StaleViewError, Step, check_view, kernel_view, plan_sync
from gptlib.linux.nodes import (
    NoNodeError,
    device_name,
    mapped_partitions_of,
    member_of,
    partition_name,
    partition_node,
    sysfs_name,
)
from gptlib.linux.resolve import Target, resolve_target

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
    (entry.parent / "dev").write_text(f"{os.major(number)}:{os.minor(number)}\n")
    block = tmp_path / "block"
    block.mkdir()
    (block / f"{os.major(number)}:{os.minor(number)}").symlink_to(entry)
    sdx = tmp_path / "sdx"
    for is_there in (False, True):
        if is_there:
            sdx.touch()
        with pytest.raises(TargetError, match=r"is partition 3 of .*/sdx, which has no device node"):
            resolve_target(str(node), sysfs=str(block), dev=str(tmp_path))
    sdx.unlink()
    sdx.symlink_to(node)
    assert resolve_target(str(node), sysfs=str(block), dev=str(tmp_path)) == Target(str(sdx), 3)
    (entry.parent / "dev").write_text("8:255\n")
    with pytest.raises(TargetError, match="which has no device node"):
        resolve_target(str(node), sysfs=str(block), dev=str(tmp_path))


class Multipath:
    """A made-up /sys and /dev: dm-0 is sda by two paths, kpartx has made dm-1 for its partition 3, dm-2 is something else."""

    def __init__(self, folder: Path) -> None:
        self.sysfs, self.dev = folder / "dev-block", folder / "dev"
        self.sysfs.mkdir()
        self.dev.mkdir()
        self.folders = {}
        uuids = {"dm-0": "mpath-3600a", "dm-1": "part3-mpath-3600a", "dm-2": "LVM-xyz", "dm-3": "partition-of-mine"}
        for place, (name, uuid) in enumerate(uuids.items()):
            entry = folder / "devices" / name
            for part in ("dm", "slaves", "holders"):
                (entry / part).mkdir(parents=True)
            (entry / "dm/uuid").write_text(f"{uuid}\n")
            (entry / "dev").write_text(f"253:{place}\n")
            (self.sysfs / f"253:{place}").symlink_to(entry)
            self.folders[name] = entry
        for name in ("dm-1", "dm-2", "dm-3"):
            (self.folders[name] / "slaves/dm-0").symlink_to(self.folders["dm-0"])
            (self.folders["dm-0"] / f"holders/{name}").symlink_to(self.folders[name])


def test_partitions_that_kpartx_made_belong_to_their_disk(tmp_path: Path) -> None:
    system = Multipath(tmp_path)
    entries = {name: str(entry.resolve()) for name, entry in system.folders.items()}
    assert member_of(entries["dm-1"]) == (entries["dm-0"], 3)
    assert [member_of(entries[name]) for name in ("dm-0", "dm-2", "dm-3")] == [None] * 3
    assert list(mapped_partitions_of(entries["dm-0"])) == [(3, entries["dm-1"])]
    # The kernel cannot be told about them (BLKPG), so they are no part of its view.
    assert kernel_view(os.makedev(253, 0), sysfs=str(system.sysfs)) is None
    with pytest.raises(NoNodeError, match=r"no node for partition 3 \(.*/dm-1 is not it\)"):
        partition_node("mpatha", os.makedev(253, 0), 3, sysfs=str(system.sysfs), dev=str(system.dev))
    with pytest.raises(NoNodeError, match=r"no node for partition 4 \(it shows no such partition"):
        partition_node("mpatha", os.makedev(253, 0), 4, sysfs=str(system.sysfs), dev=str(system.dev))
    with pytest.raises(NoNodeError, match=r"sysfs does not show 9:9"):
        partition_node("mpatha", os.makedev(9, 9), 4, sysfs=str(system.sysfs), dev=str(system.dev))


@pytest.mark.skipif(os.geteuid() != 0, reason="making device nodes needs root")
def test_a_partition_that_kpartx_made_has_its_node_by_the_kernel_s_name(tmp_path: Path) -> None:
    system = Multipath(tmp_path)
    for place in (0, 1):
        os.mknod(system.dev / f"dm-{place}", 0o60600, os.makedev(253, place))
    mapper = system.dev / "mapper"
    mapper.mkdir()
    (mapper / "mpatha").symlink_to("../dm-0")
    (mapper / "mpatha-part3").symlink_to("../dm-1")
    places = {"sysfs": str(system.sysfs), "dev": str(system.dev)}
    assert resolve_target(str(mapper / "mpatha"), **places) == Target(str(system.dev / "dm-0"))
    assert resolve_target(str(mapper / "mpatha-part3"), **places) == Target(str(system.dev / "dm-0"), 3)
    assert partition_node("mpatha", os.makedev(253, 0), 3, **places) == str(system.dev / "dm-1")


def test_a_node_of_another_partition_is_refused_with_both_places(tmp_path: Path) -> None:
    sysfs = fake_sysfs(tmp_path)
    disk = (sysfs / "8:0").resolve()
    for minor, number in ((3, 3), (4, 4)):
        (sysfs / f"8:{minor}").symlink_to(disk / f"cciss!c0d0p{number}")
    on_disk = table(partition(2048, 100)).add(partition(4096, 8192), 3).add(partition(20000, 100), 4)

    def check(node: int, number: int, in_table: Table = on_disk) -> None:
        check_view("/dev/x", os.makedev(8, 0), os.makedev(8, node), in_table, number, sysfs=str(sysfs))

    check(3, 3)
    larger = table().add(partition(4096, 8193), 3)
    elsewhere = "the kernel has it as sectors 4096 to 12287"
    with pytest.raises(StaleViewError, match=f"partition 3 is sectors 4096 to 12288 in the table, but {elsewhere}"):
        check(3, 3, larger)
    moved = table().add(partition(4095, 8192), 3)
    with pytest.raises(StaleViewError, match=f"partition 3 is sectors 4095 to 12286 in the table, but {elsewhere}"):
        check(3, 3, moved)
    for node, number in ((3, 1), (0, 3), (9, 3)):
        with pytest.raises(StaleViewError, match="the kernel has it as another device"):
            check(node, number)
    with pytest.raises(StaleViewError, match="the kernel has it as a part of the disk that it does not tell"):
        check(4, 4)


def test_bytes_are_named_where_they_are_no_sectors(tmp_path: Path) -> None:
    sysfs = fake_sysfs(tmp_path)
    disk = (sysfs / "8:0").resolve()
    (sysfs / "8:3").symlink_to(disk / "cciss!c0d0p3")
    (disk / "cciss!c0d0p3" / "start").write_text("4097\n")
    in_table = Table.new(total_sectors=100000, sector_size=4096).add(partition(512, 1024), 3)
    with pytest.raises(StaleViewError, match=r"sectors 512 to 1535 in the table, but .* bytes 2097664 to 6291967"):
        check_view("/dev/x", os.makedev(8, 0), os.makedev(8, 3), in_table, 3, sysfs=str(sysfs))


def test_names_in_sysfs_and_in_dev_are_each_other_s() -> None:
    for shown, name in (("cciss!c0d0", "cciss/c0d0"), ("sda", "sda")):
        assert (device_name(shown), sysfs_name(name)) == (name, shown)
    names = [partition_name(disk, 3) for disk in ("sda", "nvme0n1", "/dev/mmcblk0", "/dev/cciss/c0d0")]
    assert names == ["sda3", "nvme0n1p3", "/dev/mmcblk0p3", "/dev/cciss/c0d0p3"]


def test_an_image_file_is_its_own_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "disk.img"
    path.touch()
    assert resolve_target(str(path)) == Target(str(path), None)
    link = tmp_path / "link"
    link.symlink_to("disk.img")
    assert resolve_target(str(link)) == Target(str(path), None)
    monkeypatch.chdir(tmp_path)
    assert resolve_target("disk.img") == Target("disk.img", None)
