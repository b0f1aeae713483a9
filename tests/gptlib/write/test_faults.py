"""Writes when the disk, or somebody else, objects; and disks of unusual kinds."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING, Any

import pytest

from gptlib import (
    Attributes,
    BusyError,
    CorruptGptError,
    Disk,
    Guid,
    Partition,
    ReadError,
    ReadOnlyError,
    Table,
    TableError,
    TargetError,
    WriteError,
    type_guid,
)
from gptlib.linux.device import FileDevice
from gptlib.linux.lock import lock_exclusive
from gptlib.write.image import extend
from gptlib.write.legacy import set_legacy
from gptlib.write.mbr import write_mbr
from tests.gptlib.handmade import Gpt
from tests.gptlib.readers import PEERS, gptlib, tool
from tests.gptlib.writing import END, GPT, change

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Faulty:
    """Lets so many system calls pass, then fails each."""

    def __init__(self, real: Callable[..., object], passes: int, code: int = errno.EIO) -> None:
        self.real, self.passes, self.code = real, passes, code

    def __call__(self, *arguments: object) -> object:
        if self.passes == 0:
            raise OSError(self.code, os.strerror(self.code))
        self.passes -= 1
        return self.real(*arguments)


@pytest.mark.parametrize("call", ["pwrite", "fsync"])
@pytest.mark.parametrize("passes", range(4))
def test_an_io_error_leaves_the_old_or_the_new_table(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, passes: int
) -> None:
    if call == "fsync" and passes == 3:
        return
    before = gptlib(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, Faulty(getattr(os, call), passes))
        with pytest.raises(WriteError) as caught:
            change(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "Input/output error" in message
    assert "run 'gptctl repair' once the disk can be written again" in message
    for name, read in {**PEERS, "gptlib": gptlib}.items():
        view = read(path)
        assert view is not None, name
        assert view[0].attributes in {0x0101 << 48, 0x0151 << 48}
    with Disk.open(path, write=True) as disk:
        disk.repair()
        assert disk.read().findings == ()
    repaired = gptlib(path)
    assert repaired is not None
    assert repaired == before or repaired[0].attributes == 0x0151 << 48


def test_a_full_disk_is_an_error_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", Faulty(os.pwrite, 0, errno.ENOSPC))
    with pytest.raises(WriteError, match="No space left on device"):
        change(path)


def test_a_disk_that_is_to_be_left_alone_is(path: Path) -> None:
    image = GPT.image()
    for at in (512, END * 512):
        image[at : at + 8] = b"IGNOREME"
    path.write_bytes(image)
    with Disk.open(path, write=True) as disk:
        with pytest.raises(CorruptGptError, match="both copies are marked to be ignored"):
            disk.read()
        with pytest.raises(TableError, match="both copies are marked IGNOREME"):
            disk.create(Table.new(total_sectors=2048))
    assert path.read_bytes() == image


def test_a_file_that_cannot_be_extended_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "ftruncate", Faulty(os.ftruncate, 0, errno.EFBIG))
    with Disk.open(path, write=True) as disk, pytest.raises(WriteError, match="extending: File too large"):
        extend(disk, 1 << 40)


def test_a_file_that_shrinks_while_it_is_open_is_an_error(path: Path) -> None:
    with Disk.open(path) as disk:
        path.write_bytes(b"")
        with pytest.raises(CorruptGptError, match="cannot be read"):
            disk.read()
        with pytest.raises(ReadError, match=r"reading 512 bytes at byte 512 failed: it ends after 0 bytes"):
            disk.device.read(512, 512)


def test_a_read_error_of_a_file_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pread", Faulty(os.pread, 0))
    with Disk.open(path) as disk:
        state = disk.examine()
    assert {finding.code for finding in state.findings} == {"unreadable"}
    assert "Input/output error" in state.findings[0].message


def test_short_writes_are_continued(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, bytes(data)[:100], offset))
    change(path)
    with Disk.open(path) as disk:
        assert disk.read().findings == ()


def test_a_sector_that_cannot_be_read_is_worked_around(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = FileDevice.read
    bad = 2 * 512

    def read(self: FileDevice, offset: int, length: int) -> bytes:
        if offset <= bad < offset + length:
            raise ReadError(self.path, offset, length, "Input/output error")
        return real(self, offset, length)

    monkeypatch.setattr(FileDevice, "read", read)
    with Disk.open(path, write=True) as disk:
        state = disk.read()
        assert state.source == "backup"
        assert [finding.code for finding in state.findings] == ["unreadable"]
        assert "Input/output error" in state.findings[0].message
        disk.repair()
    assert path.read_bytes() == GPT.image()


def test_a_disk_opened_for_reading_is_not_written(path: Path) -> None:
    with Disk.open(path) as disk:
        table = disk.table()
        calls: list[Callable[[], object]] = [
            lambda: disk.write(table.remove(3)),
            lambda: disk.create(table),
            disk.erase,
            lambda: write_mbr(disk, bytes(512)),
            lambda: set_legacy(disk, "legacy"),
            lambda: extend(disk, 1 << 30),
        ]
        for call in calls:
            with pytest.raises(ReadOnlyError, match="it was opened for reading only"):
                call()
    assert path.read_bytes() == GPT.image()


def test_a_file_that_may_not_be_written_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def denied(name: str, flags: int, *rest: int) -> int:
        if flags & os.O_RDWR:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return real(name, flags, *rest)

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(ReadOnlyError, match=r"cannot be written: Permission denied"):
        Disk.open(path, write=True)
    with Disk.open(path) as disk:
        assert disk.table().partitions


def test_what_is_no_disk_is_refused(ram: Path) -> None:
    for target, message in ((ram, "neither a block device nor a regular file"), (ram / "missing", "No such file")):
        with pytest.raises(TargetError, match=message):
            Disk.open(target)
    os.mkfifo(ram / "fifo")
    with pytest.raises(TargetError, match="give a disk or an image file"):
        Disk.open(ram / "fifo")


def test_a_second_writer_waits_and_then_gives_up(path: Path) -> None:
    with Disk.open(path, write=True):
        with pytest.raises(
            BusyError, match=r"another program is writing this disk \(its lock was not free within 0.1 s\)"
        ):
            Disk.open(path, write=True, lock_deadline=0.1)
        with Disk.open(path) as reader:
            assert reader.table().partitions
    with Disk.open(path, write=True, lock_deadline=0.1):
        pass


def test_a_lock_that_becomes_free_in_time_is_taken(path: Path) -> None:
    now, pauses = [0.0], []
    with path.open("r+b") as holder, path.open("r+b") as waiter:
        fcntl.flock(holder, fcntl.LOCK_EX)

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            now[0] += seconds
            if len(pauses) == 3:
                fcntl.flock(holder, fcntl.LOCK_UN)

        lock_exclusive(waiter.fileno(), str(path), deadline=1, clock=lambda: now[0], pause=pause)
    assert len(pauses) == 3


def test_a_table_for_another_disk_is_refused(path: Path) -> None:
    with Disk.open(path, write=True) as disk:
        for table in (Table.new(total_sectors=4096), Table.new(total_sectors=256, sector_size=4096)._replace()):
            with pytest.raises(TableError, match="the table is for"):
                disk.write(table)
        with pytest.raises(TableError, match="the table is for 4096 sectors of 512 bytes, the disk has 2048 of 512"):
            disk.create(Table.new(total_sectors=4096))
    assert path.read_bytes() == GPT.image()


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({"primary_entries_lba": 40}, "the primary entries .* do not fit before the first usable sector 34"),
        ({"primary_entries_lba": 1}, "the primary entries"),
        ({"backup_entries_lba": 2000}, "the backup entries"),
        ({"backup_entries_lba": 2020}, "the backup entries"),
    ],
)
def test_a_table_whose_own_parts_are_in_the_way_is_refused(path: Path, places: dict[str, Any], message: str) -> None:
    with Disk.open(path, write=True) as disk, pytest.raises(TableError, match=message):
        disk.write(disk.table()._replace(**places))
    assert path.read_bytes() == GPT.image()


def test_a_sparse_file_stays_sparse(ram: Path) -> None:
    path = ram / "disk.img"
    with path.open("wb") as file:
        file.truncate(8 << 30)
    with Disk.open(path, write=True) as disk:
        disk.create(Table.new(total_sectors=(8 << 30) // 512))
    assert path.stat().st_blocks * 512 < 1 << 20
    assert "No problems found" in tool("sgdisk", "--verify", path)


@pytest.mark.parametrize("size", [(2 << 40) + (1 << 20), 7 << 40])
def test_a_disk_of_more_than_two_tebibytes(tmp_path: Path, size: int) -> None:
    path, total = tmp_path / "disk.img", size // 512
    with path.open("wb") as file:
        file.truncate(size)
    table = Table.new(total_sectors=total)
    last = Partition(type_guid("coreos-usr"), Guid.random(), total - 5000, total - 4000, Attributes(0), "far away")
    with Disk.open(path, write=True) as disk:
        disk.create(table.add(last, 3))
    change(path)
    for name, read in PEERS.items():
        view = read(path)
        assert view is not None, name
        assert (view[0].start, view[0].size, view[0].label) == (total - 5000, 1001, "far away")
    assert path.stat().st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("extra", [1, 511, 100])
def test_a_file_that_ends_inside_a_sector_is_used_up_to_the_last_whole_one(path: Path, extra: int) -> None:
    image = GPT.image() + b"x" * extra
    path.write_bytes(image)
    change(path)
    after = path.read_bytes()
    assert len(after) == len(image)
    assert after.endswith(b"x" * extra)
    with Disk.open(path) as disk:
        assert disk.read().findings == ()


def test_the_mbr_can_be_written_on_its_own(ram: Path) -> None:
    for size in (512, 4096):
        path = ram / "disk.img"
        image = Gpt(sectors=600, sector_size=size).image()
        image[600:604] = b"keep"
        path.write_bytes(image)
        with Disk.open(path, write=True) as disk:
            write_mbr(disk, b"\xaa" * 512)
        assert path.read_bytes() == b"\xaa" * 512 + bytes(image[512:])
