"""Block devices: loop devices with both sector sizes, partitions in use, the kernel's view of them."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gptlib import (
    Attributes,
    BusyError,
    Disk,
    NotGptError,
    ReadOnlyError,
    type_guid,
)
from gptlib.cli.main import main
from gptlib.linux.kernel import BLKPG, PartitionInUseError, check_unused
from gptlib.linux.nodes import NoNodeError, partition_node
from gptlib.linux.resolve import Target, resolve_target
from gptlib.write.image import extend
from tests.gptlib.handmade import Entry, Gpt
from tests.gptlib.readers import run, sfdisk, tool, view_of
from tests.loopdev import LOOP, loop, why_no_loop_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USR = type_guid("coreos-usr")
MEBI = 1 << 20


def test_loop_devices_are_tested_wherever_a_file_can_be_attached_to_one(
    image: Path, record_property: Callable[[str, object], None]
) -> None:
    result = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True)
    if result.returncode == 0:
        tool("losetup", "--detach", result.stdout.strip())
    assert (result.returncode == 0) == LOOP, result.stderr
    record_property(
        "counted", f"tests on loop devices: {'run' if LOOP else f'impossible here: {why_no_loop_device()}'}"
    )


@pytest.fixture
def image(ram: Path) -> Path:
    path = ram / "loop.img"
    with path.open("wb") as file:
        file.truncate(64 * MEBI)
    return path


def gptctl(*words: object) -> int:
    return main([str(word) for word in words])


def sysfs(device: str, number: int) -> Path:
    name = Path(device).name
    return Path(f"/sys/block/{name}/{name}p{number}")


if LOOP:

    @pytest.mark.parametrize("sector_size", [512, 4096])
    def test_a_table_on_a_device_is_read_by_all_tools(image: Path, sector_size: int) -> None:
        with loop(image, "--sector-size", str(sector_size)) as device:
            first = MEBI // sector_size
            assert gptctl("create", device) == 0
            assert (
                gptctl("add", "-i", 3, "-b", first, "-s", first, "-t", "kernel", "-l", "A", "-P", 2, "-T", 1, device)
                == 0
            )
            assert "No problems found" in tool("sgdisk", "--verify", device)
            assert tool("cgpt", "show", "-i", 3, "-b", device) == f"{first}\n"
            assert tool("cgpt", "show", "-i", 3, "-T", device) == "1\n"
            told = json.loads(tool("sfdisk", "--json", device))["partitiontable"]
            assert (told["sectorsize"], told["partitions"][0]["start"]) == (sector_size, first)
            assert tool("blkid", "-p", "-s", "PTTYPE", "-o", "value", device) == "gpt\n"
            with Disk.open(device) as disk:
                state = disk.read()
            assert state.findings == ()
            assert state.sector_size == sector_size

    def test_other_tools_tables_on_4096_byte_sectors_are_read(image: Path) -> None:
        with loop(image, "--sector-size", "4096") as device:
            tool("sgdisk", "-n", "3:256:511", "-c", "3:LABEL", device)
            with Disk.open(device) as disk:
                assert disk.table().partition(3).label == "LABEL"

    @pytest.mark.parametrize(
        "gpt", [Gpt(count=5, entries={5: Entry(100, 199)}), Gpt(count=301, entries={300: Entry(300, 399)})]
    )
    def test_arrays_that_end_inside_a_sector_are_read_wherever_they_are(image: Path, gpt: Gpt) -> None:
        """O_DIRECT reads whole sectors; the backup of a grown disk is far from what is fetched at once."""
        content = gpt.image()
        content[512:1024] = bytes(512)
        image.write_bytes(gpt.image() + bytes(64 * MEBI))
        with loop(image) as device, Disk.open(device, write=True) as disk:
            state = disk.read()
            assert state.primary.valid
            assert state.backup.valid
            disk.repair()
            assert disk.read().findings == ()

    @pytest.mark.parametrize("call", ["preadv", "pwrite", "fsync", "ioctl"])
    def test_errors_of_a_device_are_told_in_one_line(
        image: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], call: str
    ) -> None:
        import fcntl

        with loop(image) as device:
            gptctl("create", device)
            real: Callable[..., object] = fcntl.ioctl

            def broken(*arguments: object) -> object:
                if call == "ioctl" and arguments[1] != BLKPG:
                    return real(*arguments)
                raise OSError(errno.EIO, os.strerror(errno.EIO))

            with monkeypatch.context() as patch:
                patch.setattr(fcntl if call == "ioctl" else os, call, broken)
                capfd.readouterr()
                assert gptctl("add", "-i", 3, "-b", 4096, "-s", 2048, "-t", "data", device) == 1
            err = capfd.readouterr().err
            assert err.count("\n") == 1
            assert "Input/output error" in err

    def test_an_image_for_other_sectors_is_refused_with_the_reason(image: Path) -> None:
        image.write_bytes(Gpt(sectors=16384, sector_size=4096).image())
        with loop(image) as device, Disk.open(device) as disk, pytest.raises(NotGptError) as caught:
            disk.read()
        assert "there is one for 4096-byte sectors on this disk of 512-byte sectors" in str(caught.value)

    @pytest.mark.parametrize("sector_size", [512, 4096])
    @pytest.mark.parametrize("byte", [b"\0", b"x"])
    def test_a_device_without_a_table_is_not_said_to_have_one(image: Path, sector_size: int, byte: bytes) -> None:
        image.write_bytes(byte * 4 * MEBI)
        with loop(image, "--sector-size", str(sector_size)) as device, Disk.open(device) as disk:
            with pytest.raises(NotGptError) as caught:
                disk.read()
            assert disk.device.sector_size == sector_size
        sectors = 4 * MEBI // sector_size
        assert f"no 'EFI PART' in sector 1 or in the last one of its {sectors} sectors" in str(caught.value)

    def test_the_kernel_sees_new_larger_moved_and_removed_partitions(image: Path) -> None:
        with loop(image) as device:
            gptctl("create", device)
            assert gptctl("add", "-i", 3, "-b", 4096, "-s", 2048, "-t", "data", device) == 0
            assert (sysfs(device, 3) / "size").read_text() == "2048\n"
            assert gptctl("resize", f"{device}p3") == 0
            assert (sysfs(device, 3) / "size").read_text() == f"{131038 - 4096 + 1}\n"
            assert gptctl("add", "-i", 3, "-b", 8192, "-s", 100, device) == 0
            assert (sysfs(device, 3) / "start").read_text() == "8192\n"
            assert gptctl("add", "-i", 3, "-t", "unused", device) == 0
            assert not sysfs(device, 3).exists()

    def test_a_change_of_attributes_tells_the_kernel_nothing(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with loop(image) as device:
            gptctl("create", device)
            gptctl("add", "-i", 3, "-b", 4096, "-s", 2048, "-t", "data", device)
            monkeypatch.setattr("gptlib.linux.kernel.sync_kernel", lambda *_: pytest.fail("told"))
            assert gptctl("add", "-i", 3, "-P", 3, device) == 0

    def test_repair_brings_back_partitions_that_the_kernel_lost(image: Path) -> None:
        with loop(image) as device:
            gptctl("create", device)
            gptctl("add", "-i", 3, "-b", 4096, "-s", 2048, "-t", "data", device)
            tool("partx", "--delete", "--nr", "3", device)
            assert not sysfs(device, 3).exists()
            assert gptctl("repair", device) == 0
            assert sysfs(device, 3).exists()

    def test_the_node_of_a_partition_means_its_disk_and_its_entry(
        image: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with loop(image) as device:
            gptctl("create", device)
            words: list[object] = [
                "-l",
                "USR-A",
                "-t",
                "coreos-usr",
                "-u",
                "7130C94A-213A-4E5A-8E26-6CCE9662F132",
                "-P",
                1,
                "-S",
                1,
            ]
            gptctl("add", "-i", 3, "-b", 2048, "-s", 4096, *words, device)
            node = f"{device}p3"
            assert resolve_target(node) == Target(device, 3)
            capfd.readouterr()
            assert gptctl("show", node) == 0
            # The figures of the article, but for their places.
            assert capfd.readouterr().out == (
                "       start        size    part  contents\n"
                '        2048        4096       3  Label: "USR-A"\n'
                "                                  Type: Alias for coreos-rootfs\n"
                "                                  UUID: 7130C94A-213A-4E5A-8E26-6CCE9662F132\n"
                "                                  Attr: priority=1 tries=0 successful=1\n"
            )
            assert gptctl("add", "-T", 4, node) == 0
            assert gptctl("prioritize", "-P", 9, node) == 0
            assert gptctl("show", "-T", node) == gptctl("show", "-P", node) == 0
            assert capfd.readouterr().out == "4\n9\n"
            assert gptctl("add", "-i", 4, "-T", 4, node) == 1
            assert f"{node} is partition 3 but -i 4 was given" in capfd.readouterr().err
            assert gptctl("next", node) == 0
            assert capfd.readouterr().out == "7130c94a-213a-4e5a-8e26-6cce9662f132\n"
            for refused in (["create"], ["restore", "-"]):
                assert gptctl(*refused, node) == 1
            assert gptctl("find", "-l", "USR-A", node) == 0
            assert capfd.readouterr().out == f"{node}\n"

    @contextmanager
    def mounted(node: str, where: Path) -> Iterator[Path]:
        tool("mkfs.ext4", "-q", node)
        where.mkdir()
        tool("mount", node, where)
        try:
            yield where
        finally:
            tool("umount", where)

    def test_a_disk_is_written_under_its_mounted_partitions(
        image: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with loop(image) as device:
            gptctl("create", device)
            gptctl("add", "-i", 1, "-b", 4096, "-s", 32768, "-t", "data", device)
            gptctl("add", "-i", 2, "-b", 40960, "-s", 2048, "-t", "coreos-usr", device)
            with mounted(f"{device}p1", tmp_path / "mnt") as where:
                (where / "file").write_text("before")
                assert gptctl("add", "-i", 2, "-P", 2, "-T", 3, device) == 0
                assert gptctl("add", "-i", 5, "-b", 49152, "-s", 2048, "-t", "data", device) == 0
                assert gptctl("repair", device) == 0
                (where / "file").write_text("after")
                before = sfdisk(Path(device))
                for words in (["-t", "unused"], ["-b", 5120, "-s", 1024]):
                    assert gptctl("add", "-i", 1, *words, device) == 1
                    assert (
                        "partition 1 is in use and cannot be removed or moved; unmount it first"
                        in capfd.readouterr().err
                    )
                for erasing in (["create"], ["create", "-z"]):
                    assert gptctl(*erasing, device) == 1
                    assert "partition 1 is in use" in capfd.readouterr().err
                assert sfdisk(Path(device)) == before
            assert run("fsck.ext4", "-f", "-n", f"{device}p1").returncode == 0
            assert gptctl("add", "-i", 1, "-t", "unused", device) == 0
            assert sysfs(device, 2).exists()
            assert gptctl("create", "-z", device) == 0
            assert not sysfs(device, 2).exists()

    @pytest.mark.parametrize("how", ["add", "restore", "create", "repair"])
    def test_a_partition_in_use_is_not_made_smaller(
        image: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], how: str
    ) -> None:
        """The kernel would do it, and the file system would lose its end. sfdisk, beside us, refuses."""
        with loop(image) as device:
            gptctl("create", device)
            gptctl("add", "-i", 1, "-b", 4096, "-s", 32768, "-t", "data", device)
            dump = tmp_path / "dump"
            if how == "restore":
                gptctl("add", "-i", 1, "-s", 16384, device)
                capfd.readouterr()
                assert gptctl("dump", device) == 0
                dump.write_text(capfd.readouterr().out)
                gptctl("add", "-i", 1, "-s", 32768, device)
            with mounted(f"{device}p1", tmp_path / "mnt"):
                if how == "repair":
                    # Another tool has written the smaller table, as none of ours does, and did not tell the kernel.
                    tool("sfdisk", "--no-reread", "--no-tell-kernel", "--force", "-N1", device, text="4096,16384\n")
                before = image.read_bytes()
                commands: dict[str, list[object]] = {
                    "add": ["add", "-i", 1, "-s", 16384, device],
                    "restore": ["restore", dump, device],
                    "create": ["create", device],
                    "repair": ["repair", device],
                }
                capfd.readouterr()
                assert gptctl(*commands[how]) == 1
                err = capfd.readouterr().err
                assert err.count("\n") == 1
                assert "in use and cannot be " + ("removed" if how == "create" else "made smaller") in err
                assert (sysfs(device, 1) / "size").read_text() == "32768\n"
                assert image.read_bytes() == before
                if how == "add":
                    refused = run("sfdisk", "-N1", device, text="4096,16384\n")
                    assert "This disk is currently in use" in refused.stdout + refused.stderr
            assert run("fsck.ext4", "-f", "-n", f"{device}p1").returncode == 0
            assert gptctl("add", "-i", 1, "-s", 8192, device) == 0
            assert (sysfs(device, 1) / "size").read_text() == "8192\n"

    def test_a_partition_in_use_may_grow(image: Path, tmp_path: Path) -> None:
        with loop(image) as device:
            gptctl("create", device)
            gptctl("add", "-i", 1, "-b", 4096, "-s", 32768, "-t", "data", device)
            with mounted(f"{device}p1", tmp_path / "mnt") as where:
                (where / "file").write_text("before")
                assert gptctl("add", "-i", 1, "-s", 40960, device) == 0
                assert (sysfs(device, 1) / "size").read_text() == "40960\n"
                assert gptctl("resize", f"{device}p1") == 0
                assert (where / "file").read_text() == "before"

    def test_a_partition_that_cannot_be_asked_counts_as_in_use(image: Path, tmp_path: Path) -> None:
        """In a container the nodes of the partitions may be missing; the kernel cuts off what is mounted elsewhere."""
        with loop(image) as device:
            gptctl("create", device)
            gptctl("add", "-i", 1, "-b", 4096, "-s", 32768, "-t", "data", device)
            with Disk.open(device, write=True) as disk:
                smaller = disk.table().resize(1, 100)
                fd = os.open(device, os.O_RDONLY)
                try:
                    with pytest.raises(PartitionInUseError):
                        check_unused(fd, device, smaller, dev=str(tmp_path))
                    check_unused(fd, device, smaller)
                finally:
                    os.close(fd)

    def test_every_name_of_a_device_is_one_target(image: Path, tmp_path: Path) -> None:
        other = image.with_name("other.img")
        other.write_bytes(Gpt(sectors=131072).image())
        with loop(image) as device, loop(other) as second:
            gptctl("create", device)
            gptctl("add", "-i", 2, "-b", 4096, "-s", 2048, "-t", "data", device)
            gptctl("add", "-i", 12, "-b", 8192, "-s", 2048, "-t", "data", device)
            link, trap, twice, part = (tmp_path / name for name in ("ssd", "ssd2", "by-id", "by-partlabel"))
            link.symlink_to(device)
            trap.symlink_to(second)
            twice.symlink_to("ssd")
            part.symlink_to(f"{device}p12")
            own = tmp_path / "node"
            os.mknod(own, 0o60600, Path(device).stat().st_rdev)
            for name in (device, link, twice, own):
                assert resolve_target(str(name)) == Target(device, None)
            assert resolve_target(str(part)) == Target(device, 12)
            assert resolve_target(str(trap)) == Target(second, None)
            rdev = Path(device).stat().st_rdev
            assert partition_node(str(link), rdev, 2) == f"{device}p2"
            with pytest.raises(NoNodeError, match=f"{link}: the kernel has no node for partition 3"):
                partition_node(str(link), rdev, 3)

    def test_the_lock_of_a_device_is_the_same_by_every_name(image: Path, tmp_path: Path) -> None:
        """flock is on the node that was opened: another node of the same device has a lock of its own."""
        with loop(image) as device:
            gptctl("create", device)
            own = tmp_path / "node"
            os.mknod(own, 0o60600, Path(device).stat().st_rdev)
            with Disk.open(resolve_target(str(own)).path, write=True), pytest.raises(BusyError):
                Disk.open(device, write=True, lock_deadline=0.05)

    def test_what_is_written_through_a_partition_node_meanwhile_survives(image: Path) -> None:
        """The last partition ends right before the backup, inside the same 4 KiB page: O_DIRECT does not touch it."""
        with loop(image) as device:
            gptctl("create", device)
            gptctl("add", "-i", 3, "-b", 2048, "-s", 131038 - 2048 + 1, "-t", "data", device)
            with Path(f"{device}p3").open("r+b", buffering=0) as node:
                node.seek(-1024, os.SEEK_END)
                node.write(b"first" * 100)
                os.fsync(node.fileno())
                with Disk.open(device, write=True) as disk:
                    table = disk.table()
                    node.seek(-1024, os.SEEK_END)
                    node.write(b"later" * 100)
                    os.fsync(node.fileno())
                    disk.write(table.with_attributes(3, Attributes(1 << 48)))
            assert image.read_bytes()[131037 * 512 :][:500] == b"later" * 100

    def test_a_device_that_is_set_read_only_is_refused(image: Path) -> None:
        image.write_bytes(Gpt(sectors=131072).image())
        with loop(image, "--read-only") as device:
            with pytest.raises(ReadOnlyError, match="the device is set read-only"):
                Disk.open(device, write=True)
            with Disk.open(device) as disk:
                assert view_of(disk.table())

    def test_the_lock_is_that_of_flock_on_the_node(image: Path) -> None:
        with loop(image) as device:
            gptctl("create", device)
            with subprocess.Popen(
                ["flock", device, "sh", "-c", "echo held; read line"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as holder:
                assert holder.stdout is not None
                assert holder.stdout.readline() == b"held\n"
                with pytest.raises(BusyError):
                    Disk.open(device, write=True, lock_deadline=0.05)
                holder.communicate(b"\n")
            with Disk.open(device, write=True):
                pass

    def test_the_sector_size_of_a_device_is_its_own(image: Path, capfd: pytest.CaptureFixture[str]) -> None:
        with loop(image) as device:
            assert gptctl("create", "--sector-size", 4096, device) == 1
            assert "has sectors of 512 bytes" in capfd.readouterr().err
            assert gptctl("create", "--sector-size", 512, device) == 0

    def test_a_device_cannot_be_extended(image: Path, capfd: pytest.CaptureFixture[str]) -> None:
        with loop(image) as device:
            assert gptctl("create", "-s", 1 << 20, device) == 1
            assert "has 131072 sectors, less than the 1048576 asked for with -s" in capfd.readouterr().err
            with Disk.open(device, write=True) as disk, pytest.raises(TypeError):
                extend(disk, 1 << 30)
