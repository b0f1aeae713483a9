"""A disk in the formats of machines and clouds: read by their own tools, it is the same disk with a sound table."""

from __future__ import annotations

import errno
import json
import os
import struct
import tarfile
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gptlib import Disk, Table
from gptlib.errors import GptError
from image_builder.errors import BuildError, NoSpaceError, ToolFailedError
from image_builder.output import vhd
from image_builder.output.errors import OutputFormatError, UnknownOutputError
from image_builder.output.kinds import OUTPUTS, output_of
from image_builder.run import SystemRunner
from tests.support import run_tool

MIB, GIB = 1 << 20, 1 << 30
EPOCH = 1704067200
READ_AS = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vhd": "vpc"}


def write(name: str, raw: Path, folder: Path, epoch: int = EPOCH) -> Path:
    folder.mkdir(exist_ok=True)
    output = OUTPUTS[name]
    target = folder / f"disk{output.ending}"
    output.write(SystemRunner(), raw, target, epoch=epoch)
    return target


def as_raw(image: Path, form: str) -> Path:
    back = image.with_name("back")
    run_tool("qemu-img", "convert", "-f", form, "-O", "raw", image, back)
    return back


def full_copy(raw: Path, folder: Path) -> Path:
    """The same bytes, without any hole."""
    folder.mkdir()
    (folder / raw.name).write_bytes(raw.read_bytes())
    return folder / raw.name


def cut(disk: Path, size: int) -> Path:
    """The disk with its end there: sgdisk moves the backup."""
    with disk.open("r+b") as file:
        file.truncate(size)
    run_tool("sgdisk", "-e", disk)
    return disk


@pytest.mark.parametrize(("name", "form"), READ_AS.items())
def test_qemu_reads_the_same_bytes_back(disk: Path, tmp_path: Path, name: str, form: str) -> None:
    image = write(name, disk, tmp_path / "out")
    assert as_raw(image, form).read_bytes() == disk.read_bytes()


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_same_bytes_at_another_time_in_another_folder_and_without_holes(
    disk: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(name, disk, tmp_path / "first").read_bytes()
    other = full_copy(disk, tmp_path / "full")
    os.utime(other, (1, 1))
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    old = os.umask(0o077)
    try:
        second = write(name, other, tmp_path / "another folder").read_bytes()
    finally:
        os.umask(old)
    assert second == first


@pytest.mark.slow
@pytest.mark.parametrize("name", ["raw", "qcow2", "vhd"])
def test_holes_stay_holes(tmp_path: Path, name: str) -> None:
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(512 * MIB)
    run_tool("sgdisk", "-n", "1:2048:+100M", raw)
    assert write(name, raw, tmp_path / "out").stat().st_blocks * 512 < MIB


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_format_that_fails_leaves_what_was_there(disk: Path, tmp_path: Path, name: str) -> None:
    target = write(name, disk, tmp_path / "out")
    before, mine = target.read_bytes(), sorted((tmp_path / "out").iterdir())
    with pytest.raises((BuildError, GptError, OSError), match="gone"):
        write(name, tmp_path / "gone.raw", tmp_path / "out")
    assert target.read_bytes() == before
    assert sorted((tmp_path / "out").iterdir()) == mine


class DyingTool(SystemRunner):
    """qemu-img, killed when it has written a little."""

    def run(self, argv: Any, **_: Any) -> bytes:  # noqa: ANN401
        argv[-1].write_bytes(b"a little")
        raise ToolFailedError([str(word) for word in argv], -9, "")


@pytest.mark.parametrize("name", ["raw", "qcow2", "vmdk", "vhd", "gce"])
def test_what_ends_in_the_middle_leaves_what_was_there(
    disk: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = write(name, disk, tmp_path / "out")
    before = target.read_bytes()
    monkeypatch.setattr("os.sendfile", full)
    with pytest.raises((ToolFailedError, NoSpaceError), match=r"killed by signal 9|No space left"):
        OUTPUTS[name].write(DyingTool(), disk, target, epoch=EPOCH)
    assert target.read_bytes() == before
    assert list((tmp_path / "out").iterdir()) == [target]


def test_the_raw_file_itself_is_left_as_it_is(disk: Path, tmp_path: Path) -> None:
    before = disk.stat()
    assert write("raw", disk, tmp_path) == disk
    assert disk.stat().st_ino == before.st_ino


def test_a_vmdk_is_stream_optimized_on_a_scsi_disk_and_names_itself(disk: Path, tmp_path: Path) -> None:
    image = write("vmdk", disk, tmp_path / "out")
    info = json.loads(run_tool("qemu-img", "info", "--output=json", image))
    details = info["format-specific"]["data"]
    assert details["create-type"] == "streamOptimized"
    head = image.read_bytes()[: 64 << 10]
    assert b'SPARSE "disk.vmdk"' in head
    assert b'ddb.adapterType = "lsilogic"' in head
    assert b".part" not in head


class ShortCid(SystemRunner):
    """Runs qemu-img, and then does as it does where its second CID is shorter than its first: the end of the text stays twice."""

    def run(self, argv: Any, **options: Any) -> bytes:  # noqa: ANN401
        done = super().run(argv, **options)
        head = argv[-1].read_bytes()
        start = head.index(b"\nCID=") + 5
        end = head.index(b"\0", start)
        line = head.index(b"\n", start)
        shorter = b"77" + head[line:end]
        argv[-1].write_bytes(head[:start] + shorter + b"\0" + head[start + len(shorter) + 1 :])
        return done


def test_a_short_cid_of_qemu_makes_no_difference(disk: Path, tmp_path: Path) -> None:
    expected = write("vmdk", disk, tmp_path / "out").read_bytes()
    OUTPUTS["vmdk"].write(ShortCid(), disk, tmp_path / "disk.vmdk", epoch=EPOCH)
    assert (tmp_path / "disk.vmdk").read_bytes() == expected


def test_another_disk_is_another_vmdk_and_another_vhd(disk: Path, tmp_path: Path) -> None:
    cid = json.loads(run_tool("qemu-img", "info", "--output=json", write("vmdk", disk, tmp_path / "1")))
    unique = write("vhd", disk, tmp_path / "1").read_bytes()[-512:][68:84]
    with disk.open("r+b") as file:
        file.seek(10 * MIB)
        file.write(b"another")
    other = json.loads(run_tool("qemu-img", "info", "--output=json", write("vmdk", disk, tmp_path / "2")))
    assert cid["format-specific"]["data"]["cid"] != other["format-specific"]["data"]["cid"]
    assert unique != write("vhd", disk, tmp_path / "2").read_bytes()[-512:][68:84]


def test_the_footer_of_a_vhd_is_that_of_qemu_but_for_time_and_uuid(disk: Path, tmp_path: Path) -> None:
    image = write("vhd", disk, tmp_path / "out")
    reference = tmp_path / "reference.vhd"
    options = ["-o", "subformat=fixed,force_size=on"]
    run_tool("qemu-img", "convert", "-f", "raw", "-O", "vpc", *options, disk, reference)
    expected = bytearray(reference.read_bytes()[-512:])
    (time,) = struct.unpack_from(">I", vhd.footer(21 * MIB, EPOCH, UUID(int=0)), 24)
    assert time == EPOCH - 946684800
    found = image.read_bytes()[-512:]
    # Version and checksum: QEMU's own release, and what follows from the others.
    for first, last in ((24, 28), (64, 68), (68, 84)):
        expected[first:last] = found[first:last]
    assert found == expected
    zeroed = found[:64] + bytes(4) + found[68:]
    assert int.from_bytes(found[64:68], "big") == 0xFFFFFFFF - sum(zeroed)


def test_a_vhd_is_whole_mebibytes_with_the_backup_at_their_end(disk: Path, tmp_path: Path) -> None:
    cut(disk, 20 * MIB + 51200)
    image = write("vhd", disk, tmp_path / "out")
    assert image.stat().st_size == 21 * MIB + 512
    back = as_raw(image, "vpc")
    assert back.stat().st_size == 21 * MIB
    assert_grown(back, disk)


@pytest.mark.slow
@pytest.mark.parametrize("sectors", [1, 32, 33, 34, 2047])
def test_a_backup_that_moves_by_a_few_sectors_is_whole(disk: Path, tmp_path: Path, sectors: int) -> None:
    cut(disk, 21 * MIB - sectors * 512)
    assert_grown(as_raw(write("vhd", disk, tmp_path / "out"), "vpc"), disk)


@pytest.mark.slow
def test_google_gets_whole_gibibytes_with_the_backup_at_their_end(disk: Path, tmp_path: Path) -> None:
    archive = write("gce", disk, tmp_path / "out")
    listing = run_tool("tar", "--numeric-owner", "-tvzf", archive).split()
    assert listing[0] == "-rw-r--r--"
    assert listing[1:3] == ["0/0", str(GIB)]
    assert listing[-1] == "disk.raw"
    run_tool("tar", "-xzf", archive, "-C", tmp_path / "out")
    unpacked = tmp_path / "out/disk.raw"
    assert unpacked.stat().st_blocks * 512 < 21 * MIB
    assert_grown(unpacked, disk)


def test_the_archive_is_of_the_kind_that_google_asks_for(disk: Path, tmp_path: Path) -> None:
    archive = write("gce", disk, tmp_path / "out")
    with tarfile.open(archive, "r:gz") as found:
        (member,) = found.getmembers()
        assert member.type == tarfile.GNUTYPE_SPARSE
        assert member.size == GIB
        assert member.mtime == EPOCH
    head = run_tool("sh", "-c", 'gzip -dc "$1" | head -c 265 | tail -c 8 | od -An -c', "sh", archive).split()
    assert "".join(head) == r"ustar\0"


def assert_grown(found: Path, raw: Path) -> None:
    """The table is sound for other tools, of the whole disk; its partitions are as they were, and so is what is in them."""
    assert "No problems found" in run_tool("sgdisk", "-v", found)
    table, old = (json.loads(run_tool("sfdisk", "-J", image))["partitiontable"] for image in (found, raw))
    size = found.stat().st_size
    assert table["lastlba"] == size // 512 - 34
    for one, other in zip(table["partitions"], old["partitions"], strict=True):
        assert {**one, "node": ""} == {**other, "node": ""}
    with found.open("rb") as file, raw.open("rb") as other_file:
        file.seek(MIB)
        other_file.seek(MIB)
        assert file.read(16 * MIB) == other_file.read(16 * MIB)
        between = size - (file.tell() + 33 * 512)
        while between:
            chunk = file.read(min(between, MIB))
            assert not chunk.strip(b"\0")
            between -= len(chunk)


@pytest.mark.slow
def test_many_holes_are_in_the_archive(tmp_path: Path, disk: Path) -> None:
    with disk.open("r+b") as file:
        for number in range(100):
            file.seek(9 * MIB + number * 3 * 4096)
            file.write(os.urandom(4096))
    archive = write("gce", disk, tmp_path / "out")
    run_tool("tar", "-xzf", archive, "-C", tmp_path / "out")
    assert_grown(tmp_path / "out/disk.raw", disk)


def test_a_disk_of_more_than_eight_gibibytes_is_read_by_tar(tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(9 * GIB)
    run_tool("sgdisk", "-n", "1:2048:+100M", raw)
    archive = write("gce", raw, tmp_path / "out")
    run_tool("tar", "-xzf", archive, "-C", tmp_path / "out")
    assert (tmp_path / "out/disk.raw").stat().st_size == 9 * GIB
    assert "No problems found" in run_tool("sgdisk", "-v", tmp_path / "out/disk.raw")


@pytest.mark.parametrize("name", ["vmdk", "vhd", "gce"])
def test_sectors_that_the_virtual_disk_has_not_are_refused(tmp_path: Path, name: str) -> None:
    raw = tmp_path / "large.raw"
    with raw.open("wb") as file:
        file.truncate(8 * MIB)
    with Disk.open(raw, write=True) as disk:
        disk.create(Table.new(total_sectors=8 * MIB // 4096, sector_size=4096))
    with pytest.raises(
        OutputFormatError, match=f"large.raw: cannot become {name}: its partition table is for sectors of 4096"
    ):
        write(name, raw, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_damaged_table_does_not_grow(disk: Path, tmp_path: Path) -> None:
    with disk.open("r+b") as file:
        file.seek(-512, os.SEEK_END)
        file.write(bytes(512))
    with pytest.raises(OutputFormatError, match=r"cannot become gce: it has to grow .* sound GPT, but .*backup"):
        write("gce", disk, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("folder", ["-o,x", "c:d", "a@@1M", "[ab]*?", "%s", "a, b"])
def test_a_folder_with_a_name_like_an_option_makes_no_difference(
    disk: Path, tmp_path: Path, name: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = write(name, disk, tmp_path / "plain").read_bytes()
    monkeypatch.chdir(tmp_path)
    disk.rename("-d,x:y.raw")
    assert write(name, Path("-d,x:y.raw"), Path(folder)).read_bytes() == expected
    assert len(list(Path(folder).iterdir())) == 1


def test_a_file_name_with_quotes_makes_no_lines_in_a_vmdk(disk: Path, tmp_path: Path) -> None:
    target = tmp_path / 'a"\nRW 1 SPARSE "b.vmdk'
    OUTPUTS["vmdk"].write(SystemRunner(), disk, target, epoch=EPOCH)
    assert b'SPARSE "a__RW 1 SPARSE _b.vmdk"\n' in target.read_bytes()[: 64 << 10]


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(UnknownOutputError, match="'vdi' is not known; known are raw, qcow2, vmdk, vhd, gce, bmap"):
        output_of("vdi")
