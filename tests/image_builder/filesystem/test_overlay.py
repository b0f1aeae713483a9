"""Files are laid over a content where the finished system would find them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from image_builder.definition.model import SlotFile
from image_builder.errors import SlotFileError
from image_builder.filesystem.listing import Entry, list_folder
from image_builder.filesystem.overlay import lay_over

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = Entry(stat.S_IFDIR | 0o755, 0, 0)


def link(target: bytes) -> Entry:
    return Entry(stat.S_IFLNK | 0o777, 0, 0, target=target)


TREE = {
    b"": FOLDER,
    b"usr": FOLDER,
    b"usr/bin": FOLDER,
    b"usr/share": FOLDER,
    b"bin": link(b"usr/bin"),
    b"absolute": link(b"/usr/share"),
    b"usr/up": link(b"../../../../usr/./bin"),
    b"chain": link(b"bin"),
    b"circle": link(b"circle"),
    b"dangling": link(b"run/later"),
    b"usr/bin/tool": Entry(stat.S_IFREG | 0o4755, 1, 2, 3, xattrs=((b"user.x", b"y"),)),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    file.chmod(0o644)
    return file


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/bin/new", b"usr/bin/new"),
        ("/absolute/new", b"usr/share/new"),
        ("/usr/up/new", b"usr/bin/new"),
        ("/chain/new", b"usr/bin/new"),
        ("/dangling/new", b"run/later/new"),
        ("/bin", b"bin"),
        ("/usr/bin/tool", b"usr/bin/tool"),
    ],
)
def test_links_on_the_way_are_followed_inside_the_root(file: Path, path: str, place: bytes) -> None:
    laid = lay_over(TREE, [SlotFile(path, file)])

    assert laid.sources == {place: file}
    assert laid.listing[place] == Entry(stat.S_IFREG | 0o644, 0, 0, 5)
    folders = {b"run": FOLDER, b"run/later": FOLDER} if path.startswith("/dangling") else {}
    assert laid.listing == {**TREE, **folders, place: laid.listing[place]}


@pytest.mark.parametrize("path", ["/bin/new", "/absolute/new", "/chain/new", "/dangling/new", "/usr/bin/../share/new"])
def test_the_kernel_would_go_the_same_way(tmp_path: Path, file: Path, path: str) -> None:
    root = tmp_path / "root"
    for name, entry in sorted(TREE.items()):
        here = root / os.fsdecode(name)
        if stat.S_ISDIR(entry.mode):
            here.mkdir()
        elif stat.S_ISLNK(entry.mode):
            here.symlink_to(os.fsdecode(entry.target.lstrip(b"/")))  # the root is not / here
    (root / "run/later").mkdir(parents=True)
    (root / path[1:]).write_bytes(b"found")

    [place] = lay_over(list_folder(root), [SlotFile(path, file)]).sources

    assert (root / os.fsdecode(place)).read_bytes() == b"found"
    assert not any(parent.is_symlink() for parent in (root / os.fsdecode(place)).parents)


def test_a_program_stays_one(file: Path) -> None:
    file.chmod(0o700)

    assert lay_over(TREE, [SlotFile("/new", file)]).listing[b"new"].mode == stat.S_IFREG | 0o755


def test_names_of_a_replaced_file_stay_one_file(file: Path) -> None:
    linked = Entry(stat.S_IFREG | 0o644, 0, 0, 9, first=b"a")
    listing = lay_over({b"": FOLDER, b"a": linked, b"b": linked, b"c": linked}, [SlotFile("/a", file)]).listing

    assert [listing[name].first for name in (b"a", b"b", b"c")] == [b"", b"b", b"b"]


def test_a_name_that_is_left_alone_is_no_hard_link(file: Path) -> None:
    linked = Entry(stat.S_IFREG | 0o644, 0, 0, 9, first=b"a")
    listing = lay_over({b"": FOLDER, b"a": linked, b"b": linked}, [SlotFile("/b", file)]).listing

    assert [listing[name].first for name in (b"a", b"b")] == [b"", b""]


@pytest.mark.parametrize(
    ("paths", "problem"),
    [
        (["/usr/bin"], "/usr/bin is a folder of the slot"),
        (["/usr/bin/tool/x"], "/usr/bin/tool/x cannot be made: /usr/bin/tool is not a folder of the slot"),
        (["/circle/x"], "/circle/x leads through more than 40 symbolic links"),
        (["/bin/x", "/usr/bin/x"], "/usr/bin/x is the same file of the slot as /bin/x"),
        (["/new", "/new/x"], "/new/x cannot be made: /new is not a folder of the slot"),
    ],
)
def test_what_cannot_be_laid_is_refused(file: Path, paths: list[str], problem: str) -> None:
    with pytest.raises(SlotFileError, match=problem):
        lay_over(TREE, [SlotFile(path, file) for path in paths])
