"""The examples of docs/gpt.md run and print what they say; the manual knows every command and option."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gptlib.cli.main import COMMANDS, OWN_COMMANDS, _load, main

if TYPE_CHECKING:
    from gptlib.cli.options import Command

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "gpt.md").read_text()
MANUAL = (ROOT / "docs" / "man" / "gptctl.1").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def test_the_python_examples_run_one_after_the_other(ram: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ram)
    found = blocks("python")
    assert len(found) >= 4
    (ram / "guide.py").write_text("\n".join(found))
    runpy.run_path("guide.py")


def test_the_console_examples_print_what_the_guide_shows(
    ram: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ram)
    steps = [step for block in blocks("console") for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    assert len(steps) >= 9
    for step in steps:
        command, _, expected = step.partition("\n")
        program, *words = shlex.split(command)
        assert program == "gptctl"
        capfd.readouterr()
        assert main(words) == 0
        assert capfd.readouterr().out == expected, command


@pytest.mark.parametrize(
    "command", [_load(name) for name in [*COMMANDS, *OWN_COMMANDS]], ids=lambda command: command.name
)
def test_the_manual_has_every_command_with_its_options(command: Command) -> None:
    section = re.search(rf"^\.SS {command.name}\b(.*?)(?=^\.S[SH] )", MANUAL, re.MULTILINE | re.DOTALL)
    assert section is not None
    text = section[1].replace("\\-", "-")
    for option in command.options:
        if option.letter:
            assert re.search(rf"-{option.letter}\b", text), option
        if option.name:
            assert f"--{option.name}" in text, option


def test_the_manual_names_every_error_exit() -> None:
    section = MANUAL.partition(".SH EXIT STATUS")[2].partition(".SH")[0]
    assert [code for code in "0123" if re.search(rf"^\.B {code}$", section, re.MULTILINE)] == ["0", "1", "2"]
