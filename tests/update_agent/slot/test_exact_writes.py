"""What an installation writes: the image, zeros to the end of its last sector, and not one byte more."""

from __future__ import annotations

import hashlib
import os
import random
import time
from typing import TYPE_CHECKING

import pytest

from gptlib.disk import Disk
from tests.loopdev import loop, needs_loop
from tests.update_agent.updates import A, B, TwoSlots, refusal, two_slots, updatectl
from update_agent.errors import ImageReadError, OutsideSlotError
from update_agent.slot.open import open_slot
from update_agent.slot.read_back import CHUNK, SlotPlace
from update_agent.slot.writer import SlotWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

SECTORS = [512, 4096]
CONTENT = random.Random(1).randbytes(2 << 20)


def slot_sectors(sector_size: int) -> int:
    """A slot larger than a chunk, whose end is on no 4 KiB boundary where sectors are small."""
    return CHUNK // sector_size + 3


def sizes(sector_size: int) -> list[int]:
    """Every edge at which a size can be rounded wrongly, and one byte to each side of it."""
    capacity = slot_sectors(sector_size) * sector_size
    edges = {0, sector_size, 2 * sector_size, 4096, 8192, CHUNK - sector_size, CHUNK, CHUNK + sector_size, capacity}
    near = {edge + offset for edge in edges for offset in (-1, 0, 1)}
    return sorted(size for size in near if 0 < size <= capacity)


CASES = [(sector_size, size) for sector_size in SECTORS for size in sizes(sector_size)]


def check_exact(disk: TwoSlots, before: bytes, after: bytes, content: bytes) -> None:
    size, place = disk.gpt.sector_size, disk.bytes_of(B)
    slot = content.ljust(-(-len(content) // size) * size, b"\0")
    expected = bytearray(before)
    expected[place.start : place.start + len(slot)] = slot
    assert disk.without_tables(after) == disk.without_tables(bytes(expected))


def install(update: Path, target: object, *options: object) -> Result:
    return updatectl("install", update, "--target", target, "--slot", "USR-B", *options)


@pytest.mark.parametrize(("sector_size", "size"), CASES)
def test_an_image_file(update: Callable[..., Path], disks: Path, sector_size: int, size: int) -> None:
    disk, path = two_slots(slot_sectors(sector_size), sector_size), disks / "disk.img"
    before = bytes(disk.gpt.image())
    path.write_bytes(before)
    result = install(update(CONTENT[:size]), path)
    assert result.exit_code == 0, result.stderr
    check_exact(disk, before, path.read_bytes(), CONTENT[:size])


@needs_loop
@pytest.mark.parametrize(("sector_size", "size"), CASES)
def test_a_device(update: Callable[..., Path], disks: Path, sector_size: int, size: int) -> None:
    disk, path = two_slots(slot_sectors(sector_size), sector_size), disks / "disk.img"
    before = bytes(disk.gpt.image())
    path.write_bytes(before)
    with loop(path, "--sector-size", str(sector_size), partitions=True) as device:
        result = install(update(CONTENT[:size]), device)
    assert result.exit_code == 0, result.stderr
    check_exact(disk, before, path.read_bytes(), CONTENT[:size])


@pytest.mark.parametrize("sector_size", SECTORS)
def test_an_image_that_is_one_byte_too_large_changes_nothing(
    update: Callable[..., Path], disks: Path, sector_size: int
) -> None:
    disk, path = two_slots(slot_sectors(sector_size), sector_size), disks / "disk.img"
    path.write_bytes(before := bytes(disk.gpt.image()))
    capacity = slot_sectors(sector_size) * sector_size
    result = install(update(CONTENT[: capacity + 1]), path)
    assert f"has {capacity + 1} bytes but slot USR-B has only {capacity}" in refusal(result)
    assert path.read_bytes() == before


@needs_loop
def test_what_stands_right_behind_the_slot_stays(update: Callable[..., Path], disks: Path) -> None:
    """An image of 2049 sectors fills the slot, and the last 4 KiB of it reach 3.5 KiB into the next partition."""
    disk, path = two_slots(2049), disks / "disk.img"
    before = disk.gpt.image()
    precious = disk.bytes_of(3).start
    before[precious : precious + 8] = b"PRECIOUS"
    path.write_bytes(before)
    assert install(update(CONTENT[: 2049 * 512]), path).exit_code == 0
    assert path.read_bytes()[precious : precious + 8] == b"PRECIOUS"
    with loop(path, partitions=True) as device:
        assert install(update(CONTENT[1 : 2049 * 512 + 1]), device).exit_code == 0
    after = path.read_bytes()
    assert after[disk.bytes_of(B)] == CONTENT[1 : 2049 * 512 + 1]
    assert after[precious : precious + 8] == b"PRECIOUS"


@pytest.mark.parametrize("growth", [1, 512, 2 * CHUNK])
def test_an_image_that_grows_while_it_is_read_stays_in_its_slot(
    update: Callable[..., Path], disks: Path, monkeypatch: pytest.MonkeyPatch, growth: int
) -> None:
    disk, path = two_slots(100), disks / "disk.img"
    path.write_bytes(before := bytes(disk.gpt.image()))
    folder, content = update(CONTENT[: 100 * 512]), CONTENT[: 100 * 512]
    write = SlotWriter.write

    def grow_first(self: SlotWriter, *arguments: object) -> str:
        with (folder / "slot.img").open("ab") as file:
            file.write(bytes(growth))
        return write(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SlotWriter, "write", grow_first)
    assert install(folder, path).exit_code == 0
    check_exact(disk, before, path.read_bytes(), content)


@pytest.mark.parametrize("left", [0, 1, 511, 512, CHUNK, CHUNK + 1])
def test_an_image_that_shrinks_while_it_is_read_is_not_armed(
    update: Callable[..., Path], disks: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    disk, path = two_slots(CHUNK // 512 + 3), disks / "disk.img"
    path.write_bytes(before := bytes(disk.gpt.image()))
    folder = update(CONTENT[: CHUNK + 1024])
    write = SlotWriter.write

    def shrink_first(self: SlotWriter, *arguments: object) -> str:
        os.truncate(folder / "slot.img", left)
        return write(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SlotWriter, "write", shrink_first)
    result = install(folder, path)
    assert result.exit_code == 1
    assert (
        f"slot.img: reading the slot image failed at byte {left}: it ends here, but its description says"
        in (result.stderr.splitlines()[-1])
    )
    with Disk.open(path) as opened:
        assert str(opened.table().partition(B).attributes) == "priority=0 tries=0 successful=0"
    after = path.read_bytes()
    assert after[disk.bytes_of(A)] == before[disk.bytes_of(A)]
    assert after[disk.bytes_of(3)] == before[disk.bytes_of(3)]


class Source:
    """An image in memory that delivers ``step`` bytes at a time, and fails or ends where it is told to."""

    shown = "slot.img"

    def __init__(self, content: bytes, step: int, fails_at: int | None = None) -> None:
        self._content, self._step, self._at, self._fails_at = content, step, 0, fails_at

    def readinto(self, buffer: memoryview, /) -> int:
        if self._fails_at is not None and self._at >= self._fails_at:
            raise OSError(5, "Input/output error")
        data = self._content[self._at : self._at + min(len(buffer), self._step)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


@pytest.mark.parametrize("step", [1, 7, 511, 513, 65536])
def test_a_source_that_delivers_little_at_a_time(disks: Path, step: int) -> None:
    disk, path, content = two_slots(9), disks / "disk.img", CONTENT[: 9 * 512 - 5]
    path.write_bytes(before := bytes(disk.gpt.image()))
    with Disk.open(path) as opened, open_slot(opened, opened.table(), B) as writer:
        writer.write(Source(content, step), len(content), lambda _: None)
    check_exact(disk, before, path.read_bytes(), content)


def test_a_source_that_cannot_be_read_is_named_and_not_the_slot(disks: Path) -> None:
    disk, path = two_slots(9), disks / "disk.img"
    path.write_bytes(disk.gpt.image())
    with (
        Disk.open(path) as opened,
        open_slot(opened, opened.table(), B) as writer,
        pytest.raises(ImageReadError, match=r"^slot\.img: reading the slot image failed at byte 1000: Input/output"),
    ):
        writer.write(Source(CONTENT, 100, fails_at=1000), 4000, lambda _: None)


@pytest.mark.parametrize(
    ("offset", "length"), [(-512, 512), (4608, 512), (4096, 1024), (0, 5120), (1, 512), (0, 511), (1 << 64, 512)]
)
def test_no_write_leaves_the_slot_whoever_asks_for_it(disks: Path, offset: int, length: int) -> None:
    disk, path = two_slots(9), disks / "disk.img"
    path.write_bytes(before := bytes(disk.gpt.image()))
    with Disk.open(path) as opened, open_slot(opened, opened.table(), B) as writer:
        with pytest.raises(OutsideSlotError, match=f"{length} bytes at byte {offset} of the slot"):
            writer._write_all(memoryview(bytes(length)), offset)
        writer._write_all(memoryview(bytes(512)), 4096)
    after = bytearray(before)
    end = disk.bytes_of(B).stop
    after[end - 512 : end] = bytes(512)
    assert path.read_bytes() == bytes(after)


def test_a_device_that_takes_nothing_is_no_endless_loop(disks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (disks / "slot").write_bytes(bytes(512))
    fd = os.open(disks / "slot", os.O_RDWR)
    monkeypatch.setattr(os, "pwrite", lambda *_: 0)
    with (
        SlotWriter(fd, SlotPlace("slot", 0, 512, 512)) as writer,
        pytest.raises(OSError, match="takes no more"),
    ):
        writer._write_all(memoryview(bytes(512)), 0)


SHA256 = hashlib.sha256


class SlowDigest:
    """SHA-256 that takes its time."""

    def __init__(self) -> None:
        self._digest = SHA256()

    def update(self, data: memoryview) -> None:
        time.sleep(0.05)
        self._digest.update(data)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


@pytest.mark.parametrize("size", [1, CHUNK, CHUNK + 1, 5 * CHUNK + 100])
def test_what_is_read_back_is_hashed_before_it_is_read_over(
    disks: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    content, path = random.Random(2).randbytes(size), disks / "slot"
    path.write_bytes(content.ljust(6 * CHUNK, b"\1"))
    expected = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr("update_agent.slot.writer.hashlib.sha256", SlowDigest)
    seen: list[int] = []
    with SlotWriter(os.open(path, os.O_RDWR), SlotPlace(str(path), 0, 6 * CHUNK, 512)) as writer:
        assert writer.read_back(size, seen.append) == expected
    assert seen == [min(end, size) for end in range(CHUNK, size + CHUNK, CHUNK)]


def test_a_hash_that_fails_is_no_good_end(disks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(SlowDigest):
        def update(self, _data: memoryview) -> None:
            raise MemoryError

    path = disks / "slot"
    path.write_bytes(bytes(CHUNK))
    monkeypatch.setattr("update_agent.slot.writer.hashlib.sha256", Failing)
    with (
        SlotWriter(os.open(path, os.O_RDWR), SlotPlace(str(path), 0, CHUNK, 512)) as writer,
        pytest.raises(MemoryError),
    ):
        writer.read_back(CHUNK, lambda _: None)
