"""Finished pieces appear whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from image_builder.cache import cache_root, publish_file, publish_folder, replacing
from image_builder.errors import OutputError


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"SLOTBOOT_CACHE": "/own", "XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/home/me"}, "/xdg/slotboot"),
        ({"SLOTBOOT_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/home/me"}, "/home/me/.cache/slotboot"),
    ],
)
def test_the_cache_lies_where_the_user_says(environment: dict[str, str], expected: str) -> None:
    assert cache_root(environment) == Path(expected)


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    target = tmp_path / "new" / "piece"
    made = []

    def fill(folder: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("content")

    assert publish_folder(target, fill) == publish_folder(target, fill) == target
    assert len(made) == 1
    assert (target / "file").read_text() == "content"


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        publish_folder(tmp_path / "piece", fail)
    assert names_in(tmp_path) == []


def test_the_rest_of_a_builder_that_died_is_cleared_away(tmp_path: Path) -> None:
    child = os.fork()
    if not child:
        publish_folder(tmp_path / "piece", lambda folder: ((folder / "half").write_text("half"), os._exit(0)))
    os.waitpid(child, 0)
    assert names_in(tmp_path) == [".piece.part"]
    publish_folder(tmp_path / "piece", lambda folder: (folder / "whole").write_text("whole"))
    assert names_in(tmp_path) == ["piece"]
    assert names_in(tmp_path / "piece") == ["whole"]


def test_of_two_builders_one_works_and_the_other_waits(tmp_path: Path) -> None:
    begun, go_on, made = threading.Event(), threading.Event(), []

    def fill(path: Path) -> None:
        begun.set()
        assert go_on.wait(10)
        made.append(path)
        path.write_text("content")

    builders = [threading.Thread(target=publish_file, args=(tmp_path / "piece", fill)) for _ in range(2)]
    builders[0].start()
    assert begun.wait(10)
    builders[1].start()
    go_on.set()
    for builder in builders:
        builder.join(10)
    assert len(made) == 1
    assert (tmp_path / "piece").read_text() == "content"


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


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"piece: cannot be written: (Not a directory|File exists)"):
        publish_file(tmp_path / "file" / "piece", lambda path: path.write_text(""))


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    def fill(path: Path) -> None:
        path.write_text("half")
        with Path("/dev/full").open("w") as full:
            full.write("x")

    with pytest.raises(OutputError, match="No space left on device"):
        publish_file(tmp_path / "piece", fill)
    assert names_in(tmp_path) == []
