"""What was on the medium at any moment, from the log alone; what the disk itself said at that moment is the reference."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from qemu_tests.harness.disk.log import WriteLog
from qemu_tests.harness.disk.losses import AllLost, SomeLost
from qemu_tests.harness.disk.machine_disk import MachineDisk
from qemu_tests.harness.disk.recording import Medium

if TYPE_CHECKING:
    from pathlib import Path

SIZE, SECTORS = 2 << 20, 32


def play(disk: MachineDisk, chip: MachineDisk, seed: int) -> dict[int, tuple[bytes, bytes]]:
    """Random power cycles of a disk and a chip over one log: how many entries there were -> what both read."""
    chance, seen = random.Random(seed), {}
    for _ in range(3):
        session, other = disk.power_on(), chip.power_on()
        for step in range(25):
            first = chance.randrange(SECTORS - 4)
            data = bytes([step + 1]) * (512 * chance.randrange(1, 5))
            if (what := chance.random()) < 0.2:
                session.flush()
            elif what < 0.4:
                other.write(first * 512, data)
            else:
                session.write(first * 512, data, fua=what < 0.55)
            seen[len(disk.log.entries)] = (disk.read(0, SECTORS * 512), chip.read(0, SECTORS * 512))
        chip.power_off(AllLost())
        disk.power_off(chance.choice([AllLost(), SomeLost(seed), None]))
        seen[len(disk.log.entries)] = (disk.read(0, SECTORS * 512), chip.read(0, SECTORS * 512))
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_the_log_alone_says_what_was_on_both_mediums(tmp_path: Path, seed: int) -> None:
    image = tmp_path / "image.raw"
    image.write_bytes(random.Random(seed).randbytes(SIZE))
    log = WriteLog(tmp_path / "log")
    disk = MachineDisk(image, tmp_path, log=log)
    chip = MachineDisk(image, tmp_path, "chip", log=log, write_through=True)
    seen = play(disk, chip, seed)
    for number, expected in list(seen.items())[:: 1 + seed]:
        for recording, contents in zip((disk.recording(), chip.recording()), expected, strict=True):
            built = recording.rebuild(number, (), tmp_path / "built.raw").read_bytes()
            assert built[: SECTORS * 512] == contents
            assert built[SECTORS * 512 :] == image.read_bytes()[SECTORS * 512 :]
            cut = recording.part(number, None, tmp_path / "base")
            assert cut.base.read(0, SECTORS * 512) == contents
            # It goes on as the whole does.
            end = max(seen)
            assert (
                cut.rebuild(end, (), tmp_path / "end.raw").read_bytes()
                == recording.rebuild(end, (), tmp_path / "all.raw").read_bytes()
            )


def test_a_part_begins_with_what_was_not_flushed_and_ends_before_its_end(tmp_path: Path) -> None:
    image = tmp_path / "image.raw"
    image.write_bytes(bytes(SIZE))
    disk = MachineDisk(image, tmp_path)
    session = disk.power_on()
    session.write(0, b"a" * 512)
    session.flush()
    session.write(512, b"b" * 512)
    begin = len(disk.log.entries)
    session.write(1024, b"c" * 512)
    session.flush()
    session.write(1536, b"d" * 512)
    part = disk.recording().part(begin, begin + 2, tmp_path / "base")
    assert part.base.read(0, 1024) == b"a" * 512 + bytes(512)
    assert [getattr(entry, "offset", "flush") for entry in part.entries] == [512, 1024, "flush"]
    medium = Medium("disk")
    assert [piece.write.offset for entry in part.entries for piece in medium.after(entry)] == [512, 1024]
