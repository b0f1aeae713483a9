"""Trees of files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from image_builder.cache import working_folder
from image_builder.filesystem.tree import copy_file, fix_folder_modes, merge_tree, write_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def strict_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def modes(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mode & 0o7777 for path in sorted(root.rglob("*"))}


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "root"
    write_text(source / "bin/tool", "#!/bin/sh\n", executable=True)
    write_text(source / "etc/text", "text")
    merge_tree(source, root)
    copy_file(source / "etc/text", root / "usr/run", executable=True)
    fix_folder_modes(root)
    expected = {"bin": 0o755, "bin/tool": 0o755, "etc": 0o755, "etc/text": 0o644, "usr": 0o755, "usr/run": 0o755}
    assert modes(root) == expected


def test_trees_are_merged_through_the_links_that_are_there(tmp_path: Path) -> None:
    root, source = tmp_path / "root", tmp_path / "source"
    (root / "usr/lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    write_text(source / "lib/libx.so.1.2", "x")
    (source / "lib/libx.so").symlink_to("libx.so.1.2")
    merge_tree(source, root)
    merge_tree(source, root)
    assert (root / "lib").is_symlink()
    assert (root / "usr/lib/libx.so").readlink().name == "libx.so.1.2"
    assert (root / "lib/libx.so").read_text() == "x"


def test_a_file_takes_the_place_of_a_link_and_leaves_its_target_alone(tmp_path: Path) -> None:
    write_text(tmp_path / "busybox", "busybox")
    write_text(tmp_path / "init", "init")
    (tmp_path / "link").symlink_to("busybox")
    copy_file(tmp_path / "init", tmp_path / "link")
    assert (tmp_path / "busybox").read_text() == "busybox"
    assert (tmp_path / "link").read_text() == "init"


def test_a_working_folder_is_gone_in_the_end_even_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), working_folder(tmp_path) as folder:
        write_text(folder / "half", "half")
        assert folder.stat().st_mode & 0o777 == 0o755
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
