"""SHA256SUMS: sha256sum reads it, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from image_builder.artifacts.sums import SUMS, SumsError, merge, update_sums
from image_builder.errors import OutputError
from tests.documentation import ROOT
from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO = "1" * 64, "2" * 64
ODD = [
    "plain",
    "two words",
    " first",
    "*star",
    "back\\slash",
    "line\nfeed",
    "\\n",
    "carriage\rreturn",
    "ümlaut",
    "\udcff",
]


def made(folder: Path, *names: str) -> dict[str, str]:
    """Files, and their digests by hashlib's rival."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(os.fsencode(name))
    return {name: run_tool("sh", "-c", 'sha256sum <"$1"', "sh", folder / name).split()[0] for name in names}


def check(folder: Path) -> None:
    done = subprocess.run(["sha256sum", "--check", "--strict", SUMS], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_sha256sum_finds_every_file_right_and_writes_the_same_lines(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    update_sums(folder, made(folder, *ODD))
    check(folder)
    names = sorted(os.fsencode(name) for name in ODD)
    theirs = subprocess.run([b"sha256sum", b"--", *names], cwd=folder, capture_output=True, check=True).stdout
    assert (folder / SUMS).read_bytes() == theirs


def test_sha256sum_finds_a_changed_file(tmp_path: Path) -> None:
    update_sums(tmp_path, made(tmp_path, "a", "b"))
    (tmp_path / "b").write_text("changed")
    assert subprocess.run(["sha256sum", "-c", SUMS], cwd=tmp_path, capture_output=True).returncode == 1


def test_lines_that_were_there_stay_and_new_ones_win() -> None:
    assert merge(f"{ONE}  b\n{ONE} *c\n", {"a": TWO, "b": TWO}) == f"{TWO}  a\n{TWO}  b\n{ONE}  c\n"
    assert merge("", {}) == ""
    assert merge(f"\\{ONE}  line\\nfeed\n", {}) == f"\\{ONE}  line\\nfeed\n"


def test_lines_of_files_that_are_gone_are_dropped(tmp_path: Path) -> None:
    update_sums(tmp_path, made(tmp_path, "old", "kept"))
    (tmp_path / "old").unlink()
    update_sums(tmp_path, made(tmp_path, "new"))
    check(tmp_path)
    assert [line.split()[1] for line in (tmp_path / SUMS).read_text().splitlines()] == ["kept", "new"]


@pytest.mark.parametrize("text", ["nonsense\n", f"{ONE} only one blank\n", f"{ONE[:-1]}  short\n", f"{ONE}  \n"])
def test_a_file_that_is_something_else_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    (tmp_path / SUMS).write_text(f"{ONE}  a\n{text}")
    with pytest.raises(SumsError, match=r"SHA256SUMS: line 2 is '.*'; expected what sha256sum prints"):
        update_sums(tmp_path, {"a": TWO})
    assert (tmp_path / SUMS).read_text() == f"{ONE}  a\n{text}"
    assert [path.name for path in tmp_path.iterdir()] == [SUMS]


def test_builds_into_the_same_folder_at_once_lose_nothing(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from image_builder.artifacts.sums import update_sums\n"
        "for n in range(40):\n"
        "    name = f'{sys.argv[1]}-{n}'; Path(sys.argv[2], name).touch(); update_sums(Path(sys.argv[2]), {name: '0' * 64})\n"
    )
    argv = [sys.executable, "-c", program]
    running = [subprocess.Popen([*argv, str(n), str(tmp_path)], cwd=ROOT) for n in range(4)]
    assert [process.wait(timeout=120) for process in running] == [0] * 4
    expected = sorted(f"{process}-{n}" for process in range(4) for n in range(40))
    assert [line.split()[1] for line in (tmp_path / SUMS).read_text().splitlines()] == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*expected, SUMS])


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file: cannot be written"):
        update_sums(tmp_path / "file", {})
