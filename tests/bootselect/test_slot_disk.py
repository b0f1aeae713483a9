"""What a command works on, and what it asks the machine for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bootselect import slot_disk
from bootselect.active import Active
from bootselect.cli.main import main
from bootselect.errors import ActiveUnknownError, RefusedError
from bootselect.slot_disk import SlotDisk
from bootselect.slots import DEFAULT_TYPE, slot_type
from bootselect.verbs import mark_good
from gptlib import Disk
from tests.gptlib.odd import loader_in_the_unused_part

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import SlotImage

USR = slot_type(DEFAULT_TYPE)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was asked of the machine; it has booted from nothing that is known."""
    questions: list[str] = []

    def find_active() -> Active:
        questions.append("active")
        raise ActiveUnknownError("a test")

    def find_running() -> list[Active]:
        questions.append("running")
        return []

    monkeypatch.setattr(slot_disk, "find_active", find_active)
    monkeypatch.setattr(slot_disk, "find_running", find_running)
    return questions


@pytest.mark.parametrize(
    "words",
    [
        "next",
        "next --dry-run",
        "mark-good --slot USR-B",
        "mark-bad --slot 4",
        "prioritize --slot 4",
        "verify",
        "simulate",
    ],
)
def test_a_command_that_is_told_everything_does_not_ask_what_the_machine_booted_from(
    slot_image: Callable[..., SlotImage], asked: list[str], words: str
) -> None:
    command, *options = words.split()
    path = str(slot_image((1, 0, 1), (2, 0, 1)).path)
    assert CliRunner().invoke(main, [command, path, *options]).exit_code == 0
    assert asked == []


@pytest.mark.parametrize("words", ["arm --slot USR-B", "mark-good", "rollback", "status"])
def test_what_depends_on_the_running_slot_is_asked_for_once(
    slot_image: Callable[..., SlotImage], asked: list[str], words: str
) -> None:
    command, *options = words.split()
    CliRunner().invoke(main, [command, str(slot_image((1, 0, 1), (0, 0, 0)).path), *options])
    assert asked == ["running"]


def test_without_a_target_the_machine_is_asked_for_its_disk(asked: list[str]) -> None:
    with pytest.raises(ActiveUnknownError):
        SlotDisk.find(None, USR)
    assert asked == ["active"]


def test_every_partition_that_the_machine_may_run_from_is_refused_by_whatever_name(
    slot_image: Callable[..., SlotImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, link = slot_image((1, 0, 1), (2, 0, 1), (0, 0, 0)), tmp_path / "link"
    link.symlink_to(image.path)
    monkeypatch.setattr(slot_disk, "find_running", lambda: [Active(str(link), number, "a test") for number in (4, 3)])
    found = SlotDisk.find(str(image.path), USR)
    with Disk.open(image.path) as disk:
        table = disk.table()
    assert (found.active, found.named_or_passive(table, None)) == (4, 5)
    for slot in ("3", "USR-B"):
        with pytest.raises(RefusedError, match="is the active slot"):
            found.named_or_passive(table, slot)


def test_what_a_change_had_to_leave_alone_is_told_to_whoever_asked_and_to_nobody_else(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, told = tmp_path / "disk.img", list[str]()
    loader_in_the_unused_part(path)
    SlotDisk.find(str(path), USR).change(lambda table: mark_good(table, 2), told.append)
    (line,) = told
    assert line.startswith(f"{path}: primary: sector 16 holds something that is not part of a table")
    assert capfd.readouterr() == ("", "")
    said = CliRunner().invoke(main, ["mark-bad", str(path), "--slot", "2"], prog_name="whatever").stderr
    assert said.startswith(f"bootselect: {path}: primary: sector 16 holds something that is not part of a table")
