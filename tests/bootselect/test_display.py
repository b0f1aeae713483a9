"""Labels come from the disk: none of them fakes a line of ours, and none of them makes a command fail that has written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from bootselect.cli.main import main
from gptlib import Disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import SlotImage

FAKED_ROW = "x\n    2     USR-B  2/3/0  boots next"
HOSTILE = "\x1b[2J\x07A\ud800\u202e\u2028\u2029\x85\x9b\x7f\r\t"
VERBS = [
    ["status"],
    ["status", "--policy", "chromeos"],
    ["simulate"],
    ["verify"],
    ["prioritize", "--slot", "3"],
    ["rollback", "--slot", "4"],
    ["mark-bad", "--slot", "3"],
    ["arm", "--slot", "3"],
    ["mark-good", "--slot", "3"],
]


def run(*argv: object) -> Result:
    result = CliRunner().invoke(main, [str(word) for word in argv], prog_name="bootselect")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def process(*argv: object, encoding: str = "utf-8", stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    """The same as a process of its own, with real streams."""
    program = [sys.executable, "-c", "from bootselect.cli.main import main; main(prog_name='bootselect')"]
    return subprocess.run(
        [*program, *map(str, argv)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def label_slot(image: SlotImage, number: int, label: str) -> None:
    with Disk.open(image.path, write=True) as disk:
        table = disk.table()
        disk.write(table.change(number, table.partition(number)._replace(name=label)))


def is_one_line(text: str) -> bool:
    return text.isprintable()


@pytest.mark.parametrize("label", [FAKED_ROW, HOSTILE])
def test_a_label_fakes_no_line(slot_image: Callable[..., SlotImage], label: str) -> None:
    plain, hostile = slot_image((1, 3, 1), (2, 0, 1), name="plain"), slot_image((1, 3, 1), (2, 0, 1), name="hostile")
    label_slot(hostile, 3, label)
    for words in VERBS:
        expected, found = run(words[0], plain.path, *words[1:]), run(words[0], hostile.path, *words[1:])
        assert (found.exit_code, found.stderr) == (expected.exit_code, ""), words
        assert found.stdout.count("\n") == expected.stdout.count("\n"), words
        assert all(map(is_one_line, found.stdout.split("\n"))), words
        assert hostile.attributes() == plain.attributes()


def test_a_refusal_that_quotes_a_label_is_one_line(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (1, 0, 1))
    label_slot(image, 3, FAKED_ROW)
    refused = run("mark-good", image.path, "--slot", "USR-C")
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert is_one_line(refused.stderr[:-1])
    assert r"x\n    2     USR-B" in refused.stderr


def test_two_slots_of_one_label_are_two_in_every_answer(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))
    label_slot(image, 4, "USR-A")
    assert "USR-A (3) 1/0/1  USR-A (4) 2/3/0" in run("simulate", image.path).stdout
    [story, *_] = json.loads(run("simulate", image.path, "--json").stdout)
    assert story["outcomes"] == {"USR-A (4)": "good"}
    assert story["boots"][0]["slots"] == {"USR-A (3)": "1/0/1", "USR-A (4)": "2/0/1"}


@pytest.mark.parametrize("label", ["\ud800A", FAKED_ROW, "Ω"])
def test_json_holds_the_label_itself(slot_image: Callable[..., SlotImage], label: str) -> None:
    image = slot_image((1, 0, 1))
    label_slot(image, 3, label)
    status = run("status", image.path, "--json").stdout
    assert status.isascii()
    assert json.loads(status)["slots"][0]["label"] == label
    assert json.loads(run("next", image.path, "--dry-run", "--json").stdout)["label"] == label
    assert json.loads(run("simulate", image.path, "--json").stdout)[0]["outcomes"] == {label: "good"}


@pytest.mark.parametrize("words", [["status"], ["simulate"], ["mark-good", "--slot", "3"]])
def test_an_encoding_that_cannot_express_the_label_is_no_failure(
    slot_image: Callable[..., SlotImage], words: list[str]
) -> None:
    image = slot_image((2, 3, 1), (1, 0, 1))
    label_slot(image, 3, "Ω")
    done = process(words[0], image.path, *words[1:], encoding="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u03a9" in done.stdout


def test_what_was_written_is_done_though_it_cannot_be_shown(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 3, 0))
    with Path("/dev/full").open("w") as full:
        done = process("mark-good", image.path, "--slot", "3", stdout=full.fileno())
    assert image.attributes() == [(1, 0, 1)]
    assert done.returncode == 0
    assert done.stderr == "bootselect: done, but it cannot be shown: No space left on device\n"
