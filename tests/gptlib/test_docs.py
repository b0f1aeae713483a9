"""The Python examples of docs/gpt.md run (those of its console: tests/test_docs.py); the manual knows every command and option."""

from __future__ import annotations

import re
import runpy
from typing import TYPE_CHECKING

import pytest

from gptlib.cli.main import COMMANDS, OWN_COMMANDS, _load
from tests.documentation import ROOT, blocks

if TYPE_CHECKING:
    from pathlib import Path

    from gptlib.cli.options import Command

GUIDE = ROOT / "docs" / "gpt.md"
MANUAL = (ROOT / "docs" / "man" / "gptctl.1").read_text()


def test_the_python_examples_run_one_after_the_other(ram: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ram)
    found = blocks(GUIDE, "python")
    assert len(found) >= 4
    (ram / "guide.py").write_text("\n".join(found))
    runpy.run_path("guide.py")


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
