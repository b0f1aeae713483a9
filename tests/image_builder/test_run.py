"""Programs run in a fixed environment, and fail with one line."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

import pytest

from image_builder.errors import MissingToolError, ToolFailedError
from image_builder.run import SystemRunner

if TYPE_CHECKING:
    from pathlib import Path


def test_a_program_sees_the_same_environment_whoever_runs_it() -> None:
    runner = SystemRunner({"PATH": "/usr/bin:/bin", "LANG": "de_DE.UTF-8", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"})
    lines = runner.run(["env"]).decode().split()
    assert {"LC_ALL=C", "TZ=UTC"} <= set(lines)
    assert not [line for line in lines if line.startswith(("LANG=", "PYTHON"))]


def test_programs_of_the_administrator_are_found_without_sbin_in_the_path() -> None:
    assert SystemRunner({"PATH": "/usr/bin"}).tool("mkfs.ext4").endswith("/sbin/mkfs.ext4")


def test_a_missing_program_names_the_debian_package_that_has_it(tmp_path: Path) -> None:
    runner = SystemRunner({"PATH": str(tmp_path)})
    with pytest.raises(MissingToolError, match=re.escape("objcopy: not found in PATH")) as caught:
        runner.run(["objcopy", "--version"])
    assert "apt-get install binutils" in str(caught.value)


def test_a_program_that_fails_is_quoted_with_its_last_line() -> None:
    with pytest.raises(ToolFailedError, match="sh failed with exit code 3: the reason") as caught:
        SystemRunner().run(["sh", "-c", "echo first >&2; echo the reason >&2; exit 3"])
    assert caught.value.code == 3


def test_of_an_explanation_in_indented_lines_the_first_line_is_quoted() -> None:
    with pytest.raises(ToolFailedError, match=r"E: Hash Sum mismatch .command"):
        SystemRunner().run(["sh", "-c", "printf 'E: Hash Sum mismatch\\n   Expected: 1\\n' >&2; exit 100"])


def test_a_program_that_is_killed_is_told_apart() -> None:
    with pytest.raises(ToolFailedError, match=r"sh was killed by signal 9"):
        SystemRunner().run(["sh", "-c", "kill -9 $$"])


def test_an_error_is_one_line_even_for_a_long_command_with_line_feeds() -> None:
    with pytest.raises(ToolFailedError) as caught:
        SystemRunner().run(["sh", "-c", "exit 1\n" * 500])
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500


def test_standard_input_is_what_is_given_and_empty_otherwise() -> None:
    runner = SystemRunner()
    assert runner.run(["cat"], stdin=b"text") == b"text"
    assert runner.run(["cat"]) == b""


def test_what_programs_make_has_the_same_mode_whatever_the_umask_of_who_builds(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        SystemRunner().run(["sh", "-c", 'mkdir "$1/folder"; echo x > "$1/file"', "sh", str(tmp_path)])
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("folder", "file")]
    assert modes == [0o755, 0o644]


def test_the_epoch_of_who_builds_reaches_programs_only_where_it_is_passed_on() -> None:
    runner = SystemRunner({"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": "1"})
    assert b"SOURCE_DATE_EPOCH" not in runner.run(["env"])
