"""The manual of bootselect knows every command and option; the table of messages is that of the selector."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import click
import pytest

from bootselect.cli.main import main
from gptlib.read.findings import ERROR, WARNING, Finding
from tests.documentation import ROOT, table

if TYPE_CHECKING:
    from collections.abc import Iterator

MANUAL = (ROOT / "docs/man/bootselect.1").read_text().replace("\\-", "-")
BOOTSELECT = ROOT / "docs/bootselect.md"
COMMANDS = {name: main.get_command(click.Context(main), name) for name in main.list_commands(click.Context(main))}
SELECTOR = ROOT / "bootselect/initramfs"
LEVELS = {None: "notice", "NOTICE": "notice", "WARNING": "warning", "ERROR": "error"}


def section(name: str) -> str:
    return re.split(r"^\.SH ", MANUAL.partition(f"\n.SH {name}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_manual_has_every_command_with_its_options(name: str) -> None:
    command = COMMANDS[name]
    assert command is not None
    text = re.search(rf"^\.B {name}\n(.*?)(?=^\.TP|\Z)", section("COMMANDS"), re.MULTILINE | re.DOTALL)
    assert text is not None
    described = f"{text[1]}\n{section('OPTIONS')}"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert re.search(rf"{parameter.opts[0]}\b", described), parameter.opts
    assert re.search(rf"\b{name}\b", section("SYNOPSIS"))


def test_the_manual_and_the_guide_name_no_command_that_is_not_there() -> None:
    assert set(re.findall(r"^\.TP\n\.B ([a-z-]+)$", section("COMMANDS"), re.MULTILINE)) == set(COMMANDS)
    assert {row[0].strip("`").split()[1] for row in table(BOOTSELECT, "## Commands")} == set(COMMANDS)


def test_the_manual_names_no_option_that_is_not_there() -> None:
    known = {
        name for command in COMMANDS.values() if command for parameter in command.params for name in parameter.opts
    }
    assert set(re.findall(r"--[a-z]+(?:-[a-z]+)*", MANUAL)) <= known


@dataclass(frozen=True)
class Message:
    """The fixed parts of a message in the code, the level at which the selector says it, and where it stands."""

    parts: tuple[str, ...]
    level: str
    where: str

    def is_shown_by(self, row: str) -> bool:
        """Whether a row of the table could be this message: its fixed parts stand there in order, but for those behind ``...``."""
        place = length = 0
        for part in self.parts:
            found = row.find(part, place)
            if found < 0:
                return "..." in row[place:] and length >= 12
            place, length = found + len(part), length + len(part)
        return length >= 5


def parts_of(node: ast.AST) -> tuple[str, ...]:
    values = node.values if isinstance(node, ast.JoinedStr) else [node]
    texts = [
        str(value.value).strip() for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)
    ]
    return tuple(text for text in texts if text)


def said() -> Iterator[Message]:
    """What the selector says: the calls of ``say`` with words in them."""
    for path in sorted(SELECTOR.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) not in {"log.say", "self._say"}:
                continue
            if parts := parts_of(node.args[0]):
                level = ast.unparse(node.args[1]) if len(node.args) > 1 else None
                yield Message(parts, LEVELS[level], f"{path.name}:{node.lineno}")
    # Those that begin with a blank explain the commands of the rescue shell.
    for line in re.findall(r'\bsay "(\S[^"]*)"', (SELECTOR / "init").read_text()):
        yield Message(tuple(part.strip() for part in re.split(r"\$[\w?]+", line) if part.strip()), "console", "init")


@cache
def written() -> tuple[Message, ...]:
    """Every text in the code that could become a message: those of errors are said where they are caught."""
    files = [path for package in ("bootselect", "gptlib") for path in (ROOT / package).rglob("*.py")]
    texts = [
        (parts_of(node), path)
        for path in files
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.JoinedStr | ast.Constant)
    ]
    return tuple(Message(parts, "", path.name) for parts, path in texts if sum(map(len, parts)) >= 12)


def rows() -> list[tuple[str, str]]:
    """(message, level) of the table; a row may show several."""
    return [
        (message, row[1])
        for row in table(BOOTSELECT, "## Messages of the selector")
        for message in re.findall(r"`([^`]+)`", row[0])
    ]


@pytest.mark.parametrize("message", list(said()), ids=lambda message: f"{message.where} {message.parts[0]}")
def test_what_the_selector_says_is_in_the_table_at_its_level(message: Message) -> None:
    assert [row for row, level in rows() if level == message.level and message.is_shown_by(row)]


FINDINGS = {str(Finding("", ERROR, copy, "...")) for copy in ("primary", "backup")} | {
    str(Finding("", WARNING, "disk", "..."))
}
EXCEPTION = "RecursionError: ... (file.py:12)"
"""What ``reason_of`` makes of any exception; see tests of the selector."""


@pytest.mark.parametrize(("row", "level"), rows())
def test_what_the_table_shows_can_be_said(row: str, level: str) -> None:
    if row in {EXCEPTION, *FINDINGS}:
        return
    assert [one for one in (*said(), *written()) if one.is_shown_by(row)], level
