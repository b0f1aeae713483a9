"""Temporary files stand beside what they become, are gone with their builder, and are never those of a living one."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from image_builder.cache import publish_file, publish_folder, replacing, working_folder
from image_builder.errors import BuildError, TooLargeError, ToolFailedError
from image_builder.run import SystemRunner

DEAD = """
import os, signal, sys
from pathlib import Path
from image_builder.cache import publish_folder, replacing, working_folder

def die(folder):
    (folder / "half").write_text("half")
    (folder / "half").chmod(0)
    folder.chmod(0o500)
    os.kill(os.getpid(), signal.SIGKILL)

place = Path(sys.argv[1])
with working_folder(place), replacing(place / "image.raw") as temporary:
    temporary.write_text("half")
    publish_folder(place / "piece", die)
"""


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith((".lock", ".record")))


def test_an_output_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    target = tmp_path / "image.raw"
    target.write_text("old")
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names_in(tmp_path) == ["image.raw"]


def test_an_output_file_stays_as_it_was_when_the_build_fails(tmp_path: Path) -> None:
    target = tmp_path / "image.raw"
    target.write_text("old")
    with pytest.raises(RuntimeError), replacing(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["image.raw"]


def test_what_killed_builders_left_goes_with_the_next_one(tmp_path: Path) -> None:
    for _ in range(2):
        subprocess.run([sys.executable, "-c", DEAD, tmp_path], cwd=Path(__file__).parents[3], check=False)
        assert [name[:10] for name in names_in(tmp_path)] == [".slotboot-"] * 3
    with replacing(tmp_path / "image.raw") as temporary:
        temporary.touch()
    assert names_in(tmp_path) == ["image.raw"]


def test_what_a_living_builder_has_stays(tmp_path: Path) -> None:
    with working_folder(tmp_path) as first, replacing(tmp_path / "image.raw") as temporary:
        temporary.write_text("whole")
        publish_folder(tmp_path / "piece", lambda folder: (folder / "file").touch())
        publish_file(tmp_path / "other", Path.touch)
        script = "import sys; from pathlib import Path; from image_builder.cache import working_folder\nwith working_folder(Path(sys.argv[1])): pass"
        subprocess.run([sys.executable, "-c", script, tmp_path], cwd=Path(__file__).parents[3], check=True)
        assert first.is_dir()
    assert (tmp_path / "image.raw").read_text() == "whole"
    assert names_in(tmp_path) == ["image.raw", "other", "piece"]


def test_parts_of_older_builders_go_where_their_process_is_gone_and_only_there(tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    (tmp_path / f".image.raw.{child.pid}-140.part").touch()
    (tmp_path / f".image.raw.{os.getpid()}-140.part").touch()
    (tmp_path / ".slotboot-mine").mkdir()
    with working_folder(tmp_path):
        pass
    assert names_in(tmp_path) == [f".image.raw.{os.getpid()}-140.part", ".slotboot-mine"]


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o644)])
def test_the_umask_holds_for_an_output_that_a_program_has_made(tmp_path: Path, umask: int, expected: int) -> None:
    before = os.umask(umask)
    try:
        with replacing(tmp_path / "image.raw") as temporary:
            SystemRunner().run(["dd", "status=none", f"of={temporary}"], stdin=b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "image.raw").stat().st_mode) == expected


def fail(path: Path) -> None:
    SystemRunner().run(["sh", "-c", f"echo first; echo cannot open {path} >&2; exit 1"])


def too_large(path: Path) -> None:
    raise TooLargeError(path, 2, 1, "slot")


def no_file(path: Path) -> None:
    raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


@pytest.mark.parametrize("problem", [fail, too_large])
def test_errors_name_the_final_place_and_not_a_folder_that_is_gone(tmp_path: Path, problem: object) -> None:
    assert callable(problem)
    target = tmp_path / "a folder" / "image.raw"
    with pytest.raises(BuildError) as caught, replacing(target) as temporary:
        problem(temporary)
    assert str(target) in str(caught.value)
    assert ".slotboot-" not in str(caught.value)
    with pytest.raises(BuildError) as caught:
        publish_folder(target, lambda folder: problem(folder / "inside"))
    assert f"{target}/inside" in str(caught.value)
    assert ".slotboot-" not in str(caught.value)
    with pytest.raises(BuildError) as caught, working_folder(tmp_path) as folder:
        problem(folder / "inside")
    assert "<temporary>/inside" in str(caught.value)
    assert ".slotboot-" not in str(caught.value)


def test_values_of_an_error_and_names_of_the_system_s_errors_are_the_final_ones_too(tmp_path: Path) -> None:
    target = tmp_path / "image.raw"
    with pytest.raises(ToolFailedError) as caught, replacing(target) as temporary:
        SystemRunner().run(["false", temporary])
    assert caught.value.argv == ("false", str(target))
    with pytest.raises(OSError, match="No such file") as error, replacing(target) as temporary:
        no_file(temporary)
    assert error.value.filename == str(target)


def test_a_long_command_is_not_cut_within_a_name(tmp_path: Path) -> None:
    for length in range(120, 300):
        with pytest.raises(ToolFailedError) as caught, replacing(tmp_path / "image.raw") as temporary:
            SystemRunner().run(["false", "x" * length, temporary])
        assert ".slotboot" not in str(caught.value)
