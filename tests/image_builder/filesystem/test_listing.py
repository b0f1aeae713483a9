"""A folder is listed as it is, and what cannot be read is told of all at once."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from image_builder.filesystem.compare import differences
from image_builder.filesystem.errors import UnreadableError
from image_builder.filesystem.listing import list_folder
from tests.image_builder.filesystem.trees import LONGEST, ODD

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.filesystem.listing import Listing

_LIST = "import sys; from pathlib import Path; from image_builder.filesystem.listing import list_folder\n\
try: list_folder(Path(sys.argv[1]))\nexcept Exception as error: print(type(error).__name__, error)"


def as_somebody(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run in a folder by a user whom permissions hold. It is entered before, since pytest's folders are closed to others."""
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    folder.chmod(0o777)
    return subprocess.run([*prefix, *argv], cwd=folder, capture_output=True, text=True)


def test_everything_odd_is_listed_as_it_was_made(listed: Listing) -> None:
    assert differences(ODD | LONGEST, listed) == []


def test_a_link_to_a_file_outside_of_the_tree_is_no_hard_link(tmp_path: Path) -> None:
    (tmp_path / "outside").touch()
    (tmp_path / "tree").mkdir()
    os.link(tmp_path / "outside", tmp_path / "tree/inside")

    assert list_folder(tmp_path / "tree")[b"inside"].first == b""


def test_symbolic_links_are_not_followed_but_for_the_root_itself(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/loop").symlink_to(".")
    (tmp_path / "name").symlink_to("tree")

    assert set(list_folder(tmp_path / "name")) == {b"", b"loop"}


def test_all_that_cannot_be_read_is_named_at_once(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for number in range(5):
        (tree / f"folder {number}").mkdir(parents=True)
        (tree / f"folder {number}").chmod(0)
    (tree / "file").touch()
    (tree / "file").chmod(0)

    said = as_somebody(tmp_path, sys.executable, "-c", _LIST, "tree").stdout
    assert said.startswith(
        "UnreadableError tree: 6 of its files or folders cannot be read (file: Permission denied; folder 0:"
    )
    assert "and 3 more" in said


def test_a_root_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="No such file"):
        list_folder(tmp_path / "missing")
