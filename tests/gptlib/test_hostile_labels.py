"""gptctl shows labels as cgpt does where a program reads them, and escaped where a person does."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gptlib.cli.main import main
from tests.gptlib.readers import run
from tests.gptlib.slots import disk_of, slot

if TYPE_CHECKING:
    from collections.abc import Callable

LABEL = "x\n2048 1 USR-B\x1b[2J\u202e\x9b"
ESCAPED = r"x\n2048 1 USR-B\x1b[2J\u202e\x9b"
NAME = "disk\nERROR: none.img"


@pytest.fixture
def path(ram: Path) -> Path:
    return disk_of(ram / NAME, {3: slot(100, 1, 0, True, LABEL), 4: slot(200, 2, 3, False, "USR-B")})


def on_a_terminal(*argv: object) -> str:
    """What a process writes when its stdout is a terminal."""
    master, terminal = pty.openpty()
    child = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", "import sys; from gptlib.cli.main import main; sys.exit(main())", *map(str, argv)],
        {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        file_actions=[(os.POSIX_SPAWN_DUP2, terminal, 1)],
    )
    os.close(terminal)
    said = b""
    try:
        while data := os.read(master, 4096):
            said += data
    except OSError:  # the last writer has gone
        pass
    os.close(master)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return said.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("options", [[], ["-v"], ["-i", "3"], ["-i", "3", "-l"]])
def test_show_is_cgpts_in_a_pipe_and_escaped_on_a_terminal(
    path: Path, options: list[str], gptctl: Callable[..., tuple[int, str, str]]
) -> None:
    assert LABEL in gptctl("show", *options, path)[1]
    if options[-1:] != ["-v"]:
        assert LABEL in run("cgpt", "show", *options, path).stdout
    screen = on_a_terminal("show", *options, path)
    assert ESCAPED in screen
    assert all(line.isprintable() for line in screen.split("\n"))


def test_find_verify_and_diff_escape_always(path: Path, gptctl: Callable[..., tuple[int, str, str]]) -> None:
    shown = gptctl("find", "-v", "-t", "coreos-usr", path)[1]
    assert f'Label: "{ESCAPED}"' in shown
    assert f"{path}3\n" in shown  # a path is the user's own: in a pipe it stays one that can be opened
    assert all(line.isprintable() for line in on_a_terminal("find", "-v", "-t", "coreos-usr", path).split("\n"))
    code, out, _ = gptctl("verify", path)
    assert (code, out.count("\n")) == (0, 1)
    assert r"disk\nERROR: none.img: 2 partitions" in out
    other = disk_of(path.with_name("other.img"), {3: slot(100, 1, 0, True, "USR-A")})
    out = gptctl("diff", path, other)[1]
    assert out.count("\n") == 2 + 2 + 3  # the names, the disks, the slots
    assert all(line.isprintable() for line in out.split("\n"))


@pytest.mark.parametrize(
    "words",
    [
        ["add", "-i", "5", "-b", "100", "-s", "10", "-t", "data"],
        ["add", "-i", "500"],
        ["show", "-i", "500"],
        ["resize", "-i", "9"],
        ["legacy", "-e", "-p"],
        ["frobnicate\n\x1b[2J"],
    ],
)
def test_a_refusal_is_one_line(path: Path, words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    before = path.read_bytes()
    assert main([*words, str(path)]) == 1
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err[:-1].isprintable()
    assert path.read_bytes() == before


def test_what_next_passes_over_is_one_line(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    missing = f"{path}\nnone"
    for command in ("show", "find", "next", "diff"):
        words = ["-t", "coreos-usr"] if command == "find" else [str(path)] if command == "diff" else []
        assert main([command, *words, missing]) != 0
        err = capfd.readouterr().err
        assert err.count("\n") == 1
        assert r"none.img\nnone" in err
