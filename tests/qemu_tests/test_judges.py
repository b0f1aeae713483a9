"""The judges, on disks that sgdisk and cgpt made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests.errors import DamagedTableError, JudgeError, JudgesDisagreeError
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
    assert judges.read_cgpt(disk.path) == judges.read_sgdisk(disk.path) == judges.read_gptlib(disk.path) == SLOTS
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
        "the judges disagree: cgpt: USR-A 1/0/1 USR-B 2/3/0; sgdisk: USR-A 1/0/1 USR-B 2/3/0; gptlib: USR-A 1/0/0"
    )


def test_a_disk_without_slots_has_none(slot_image: Callable[..., SlotImage]) -> None:
    assert judges.agree_whole(slot_image().path).slots == {}


def test_what_is_no_disk_is_refused_by_every_judge(tmp_path: Path) -> None:
    path = tmp_path / "zeros.img"
    path.write_bytes(bytes(1 << 20))
    for read in (judges.read_cgpt, judges.read_sgdisk, judges.read_gptlib):
        with pytest.raises(JudgeError, match="cannot read its table") as caught:
            read(path)
        assert "\n" not in str(caught.value)
