"""The judges, on disks that sgdisk and cgpt made."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from gptlib.errors import InvalidValueError
from qemu_tests.errors import DamagedTableError, JudgeError, JudgesDisagreeError, NoSlotsError
from qemu_tests.harness import judges
from tests.support import COREOS_USR, run_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import SlotImage

SLOTS = {"USR-A": "1/0/1", "USR-B": "2/3/0"}


@pytest.fixture
def disk(slot_image: Callable[..., SlotImage]) -> SlotImage:
    return slot_image((1, 0, 1), (2, 3, 0))


def test_all_judges_read_what_cgpt_made(disk: SlotImage) -> None:
    assert judges.read_cgpt(disk.path) == judges.read_sgdisk(disk.path) == SLOTS
    assert judges.read_sfdisk(disk.path) == judges.read_fdisk(disk.path, sector_size=512) == SLOTS
    assert judges.read_gptlib(disk.path) == SLOTS
    assert judges.agree_whole(disk.path) == judges.Verdict(SLOTS, ())


def test_all_judges_read_what_sgdisk_made(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(8 << 20)
    slots = ["-n", "1:2048:4095", "-t", f"1:{COREOS_USR}", "-c", "1:SLOT A", "-n", "2:4096:6143", "-c", "2:not a slot"]
    run_tool("sgdisk", *slots, "-A", "1:set:48", "-A", "1:set:51", "-A", "1:set:53", "-A", "1:set:63", path)
    assert judges.agree_whole(path).slots == {"SLOT A": "9/2/0"}


@pytest.mark.parametrize(("sector", "copy"), [(1, "Pri GPT"), (-33, "Sec GPT")], ids=["primary", "backup"])
def test_a_destroyed_copy_is_read_around_and_seen_by_all(disk: SlotImage, sector: int, copy: str) -> None:
    disk.zero(sector, 33)
    verdict = judges.agree(disk.path)
    assert verdict.slots == SLOTS
    for judge in ("sgdisk: Identified", f"cgpt: invalid {copy}", "gptlib: error"):
        assert any(judge in problem for problem in verdict.problems), judge
    with pytest.raises(DamagedTableError, match=r"the partition table is damaged: .*cgpt: invalid"):
        judges.agree_whole(disk.path)


def test_copies_that_differ_are_a_problem(disk: SlotImage, tmp_path: Path) -> None:
    other = tmp_path / "other.img"
    other.write_bytes(disk.path.read_bytes())
    run_tool("cgpt", "add", "-i", "4", "-T", "2", other)
    with disk.path.open("r+b") as file:
        file.seek(-33 * 512, 2)
        file.write(other.read_bytes()[-33 * 512 :])
    verdict = judges.agree(disk.path)
    assert verdict.slots == SLOTS
    assert any("sgdisk" in problem for problem in verdict.problems)
    assert any("copies" in problem for problem in verdict.problems)


def test_a_judge_of_another_opinion_is_shown_beside_the_others(
    disk: SlotImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judges, "read_gptlib", lambda *_: {"USR-A": "1/0/0"})
    with pytest.raises(JudgesDisagreeError) as caught:
        judges.agree(disk.path)
    assert str(caught.value).endswith(
        "the judges disagree: cgpt: USR-A 1/0/1 USR-B 2/3/0; sgdisk: USR-A 1/0/1 USR-B 2/3/0; "
        "sfdisk: USR-A 1/0/1 USR-B 2/3/0; gptlib: USR-A 1/0/0"
    )


def test_a_disk_without_slots_is_an_error_that_names_what_is_there(disk: SlotImage) -> None:
    with pytest.raises(
        NoSlotsError, match=r"no partition has the type root-x86-64; the types that are there: coreos-usr$"
    ):
        judges.agree(disk.path, slot_type="root-x86-64")


def test_no_partition_at_all_is_one_too(slot_image: Callable[..., SlotImage]) -> None:
    with pytest.raises(NoSlotsError, match="the types that are there: none"):
        judges.agree_whole(slot_image().path)


@pytest.mark.parametrize("slot_type", ["coreos-usr", "flatcar-usr", COREOS_USR, COREOS_USR.upper()])
def test_a_type_is_a_name_or_a_guid_and_a_path_may_be_a_word(disk: SlotImage, slot_type: str) -> None:
    assert judges.agree(str(disk.path), slot_type=slot_type).slots == SLOTS


def test_a_type_that_is_none_is_refused(disk: SlotImage) -> None:
    with pytest.raises(InvalidValueError):
        judges.agree(disk.path, slot_type="no such type")


SCRIPT = f"""label: gpt
start=256, size=256, type={COREOS_USR}, name="SLOT A", attrs="RequiredPartition GUID:48,51,53,56,63"
start=512, size=256, type={COREOS_USR}, name="B"
start=768, size=256, name="not a slot"
"""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A disk with sectors of 4096 bytes, by fdisk: the only tool of Debian 12 that makes one in a file."""
    path = tmp_path / "large.img"
    with path.open("wb") as file:
        file.truncate(8 << 20)
    (tmp_path / "script").write_text(SCRIPT)
    orders = f"I\n{tmp_path / 'script'}\nw\n"
    subprocess.run(["fdisk", "--sector-size=4096", path], input=orders, text=True, check=True, capture_output=True)
    return path


def test_large_sectors_are_judged_by_those_who_can_read_them(large: Path) -> None:
    assert judges.read_fdisk(large) == {"SLOT A": "9/2/1", "B": "0/0/0"}
    assert judges.agree_whole(large).slots == {"SLOT A": "9/2/1", "B": "0/0/0"}


def test_and_must_agree(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judges, "read_gptlib", lambda *_: {})
    with pytest.raises(JudgesDisagreeError, match="fdisk: SLOT A 9/2/1 B 0/0/0; gptlib: no slots"):
        judges.agree(large)


def test_what_is_no_disk_is_refused_by_every_judge(tmp_path: Path) -> None:
    path = tmp_path / "zeros.img"
    path.write_bytes(bytes(1 << 20))
    for read in (judges.read_cgpt, judges.read_sgdisk, judges.read_sfdisk, judges.read_fdisk, judges.read_gptlib):
        with pytest.raises(JudgeError, match="cannot read its table") as caught:
            read(path)
        assert "\n" not in str(caught.value)
