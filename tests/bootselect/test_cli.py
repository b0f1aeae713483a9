"""The command ``bootselect`` on image files: what it prints, what it refuses, and what stays as it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner, Result

from bootselect.cli.main import main
from tests.gptlib.handmade import Entry, Gpt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import SlotImage


def run(*argv: object) -> Result:
    result = CliRunner().invoke(main, [str(word) for word in argv], prog_name="bootselect")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_next_prints_the_partition_uuid_in_lower_case(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))
    assert run("next", image.path, "--dry-run").output == image.partuuid(4) + "\n"
    assert image.attributes() == [(1, 0, 1), (2, 3, 0)]
    assert run("next", image.path).output == image.partuuid(4) + "\n"
    assert image.attributes() == [(1, 0, 1), (2, 2, 0)]


def test_the_life_of_an_update_from_the_command_line(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (0, 0, 0))
    assert run("arm", image.path, "--slot", "USR-B").exit_code == 0
    assert image.attributes() == [(1, 0, 1), (2, 3, 0)]
    assert run("mark-good", image.path, "--slot", "4").exit_code == 0
    assert image.attributes() == [(1, 0, 1), (2, 0, 1)]
    assert run("rollback", image.path, "--slot", "4").exit_code == 0
    assert image.attributes() == [(2, 0, 1), (1, 0, 1)]
    assert run("mark-bad", image.path, "--slot", image.partuuid(4)).exit_code == 0
    assert image.attributes() == [(2, 0, 1), (1, 0, 0)]


def test_status_says_that_a_slot_was_rolled_back(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((2, 0, 0), (1, 0, 1))
    assert "rolled back" in run("status", image.path).output
    status = json.loads(run("status", image.path, "--json").output)
    assert [(slot["label"], slot["state"], slot["next"]) for slot in status["slots"]] == [
        ("USR-A", "rolled back", False),
        ("USR-B", "good", True),
    ]


def test_nothing_bootable_is_exit_code_3(slot_image: Callable[..., SlotImage]) -> None:
    result = run("next", slot_image((1, 0, 0)).path)
    assert (result.exit_code, result.stderr.count("\n")) == (3, 1)


def test_bad_input_is_one_line_and_exit_code_1(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (0, 0, 0))
    other = image.path.with_name("text")
    other.write_text("no table\n" * 1000)
    before = image.path.read_bytes()
    for argv in (
        ["status", other],
        ["status", image.path.with_name("missing")],
        ["mark-good", image.path],  # which one?
        ["mark-good", image.path, "--slot", "USR-C"],
        ["arm", image.path],
        ["rollback", image.path, "--slot", "3"],
        ["status", image.path, "--type", "chromeos-kernel"],
        ["status"],  # this machine was not booted from a slot
    ):
        result = run(*argv)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1), argv
        assert result.stderr.startswith("bootselect: ")
    assert image.path.read_bytes() == before


def test_a_wrong_type_or_policy_is_a_usage_error(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1))
    assert run("status", image.path, "--type", "floppy").exit_code == 2
    assert run("status", image.path, "--policy", "newest").exit_code == 2


def test_simulate_tells_what_becomes_of_an_armed_update(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (0, 0, 0))
    before = image.path.read_bytes()
    stories = json.loads(run("simulate", image.path, "--state", "USR-B=2/3/0", "--json").output)
    told = {
        story["outcomes"]["USR-B"]: [(boot["slot"], boot["slots"]["USR-B"]) for boot in story["boots"]]
        for story in stories
    }
    rolled_back = [("USR-B", "2/2/0"), ("USR-B", "2/1/0"), ("USR-B", "2/0/0"), ("USR-A", "2/0/0")]
    assert told == {
        "good": [("USR-B", "2/0/1")],
        "dies": rolled_back,
        "unhealthy": rolled_back,
        "unusable": [("USR-B", "2/0/0"), ("USR-A", "2/0/0")],
    }
    assert image.path.read_bytes() == before


def test_simulate_refuses_what_no_slot_can_be(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1))
    for option, value in (("--state", "USR-A=1/16/0"), ("--state", "USR-A=1/2"), ("--outcome", "USR-A=sad")):
        assert run("simulate", image.path, option, value).exit_code == 2


def test_verify_finds_what_would_keep_the_machine_from_rolling_back(slot_image: Callable[..., SlotImage]) -> None:
    assert run("verify", slot_image((1, 0, 1), (2, 0, 1)).path).exit_code == 0
    only = run("verify", slot_image((1, 0, 1), (0, 2, 0), name="only.img").path)
    assert (only.exit_code, only.output.count("\n")) == (0, 2)
    assert "only USR-A can boot" in only.output
    assert "USR-B has 2 tries but priority 0" in only.output
    nothing = run("verify", slot_image((1, 0, 0), name="nothing.img").path)
    assert (nothing.exit_code, nothing.output) == (1, "error: slots: no slot is bootable, and none is known to boot\n")


def test_prioritize_puts_a_slot_first(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (2, 0, 1))
    assert run("prioritize", image.path, "--slot", "USR-A").exit_code == 0
    assert image.attributes() == [(2, 0, 1), (1, 0, 1)]


def test_a_label_can_hold_anything_and_breaks_neither_line_nor_program(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    entries = {1: Entry(100, 199, "USR-A", 0x0101 << 48), 2: Entry(200, 299, "U\ud800\n\x1b[2J")}
    path.write_bytes(Gpt(entries=entries).image())
    for argv in (["status"], ["status", "--json"], ["verify"], ["simulate"], ["arm", "--slot", "2"]):
        result = run(argv[0], path, *argv[1:])
        assert (result.exit_code, result.stderr) == (0, ""), result.output
    refused = run("arm", path, "--slot", "none")
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert "2 (U\\ud800\\n\\x1b[2J)" in refused.stderr
