"""An image that is damaged is one clear error or a listing that differs: never a traceback, never a loop."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_builder.filesystem.errors import BadFileSystemError, UnreadableFeatureError
from tests.image_builder.filesystem.conftest import MODULES
from tests.image_builder.filesystem.test_reading import IMAGES, READERS
from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path

    from tests.image_builder.filesystem.conftest import Made

SMALL = {
    "erofs": ("mkfs.erofs", "--quiet", "-T0", "IMAGE", "TREE"),
    "squashfs": ("mksquashfs", "TREE", "IMAGE", "-quiet", "-no-progress", "-noI", "-noX"),
    "ext4": (
        "mkfs.ext4",
        "-q",
        "-F",
        "-b",
        "1024",
        "-O",
        "^has_journal,^resize_inode",
        "-N",
        "32",
        "-d",
        "TREE",
        "IMAGE",
        "128K",
    ),
}


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Images of a few KiB, so that most flips hit something that is read."""
    folder = tmp_path_factory.mktemp("small")
    tree = folder / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/file").write_text("content")
    (tree / "a/b/same").hardlink_to(tree / "a/file")
    (tree / "link").symlink_to("../somewhere/far/away/that/does/not/fit/into/the/sixty/bytes/of/an/inode")
    for kind, words in SMALL.items():
        run_tool(*({"IMAGE": str(folder / kind), "TREE": str(tree)}.get(word, word) for word in words))
    return {kind: (folder / kind).read_bytes() for kind in SMALL}


@pytest.mark.slow
@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bytes_are_an_error_or_a_difference(
    small: dict[str, bytes], tmp_path: Path, kind: str, data: st.DataObject
) -> None:
    image = bytearray(small[kind])
    meant = [place for place, byte in enumerate(image) if byte]
    for place in data.draw(st.lists(st.sampled_from(meant), min_size=1, max_size=8)):
        image[place] = data.draw(st.integers(0, 255))
    (tmp_path / "image").write_bytes(image)

    try:
        READERS[kind](tmp_path / "image", 0)
    except (BadFileSystemError, UnreadableFeatureError) as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("keep", [0, 1, 95, 1023, 1100, 5000])
def test_an_image_that_is_cut_off_is_an_error(small: dict[str, bytes], tmp_path: Path, kind: str, keep: int) -> None:
    (tmp_path / "image").write_bytes(small[kind][: min(keep, len(small[kind]) - 4096)])

    with pytest.raises(BadFileSystemError, match=f"no sound {kind} file system"):
        READERS[kind](tmp_path / "image", 0)


@pytest.mark.parametrize("kind", READERS)
def test_something_else_is_an_error(made: Made, tmp_path: Path, kind: str) -> None:
    (tmp_path / "text").write_bytes(b"no file system\n" * 1000)
    with pytest.raises(BadFileSystemError, match="magic"):
        READERS[kind](tmp_path / "text", 0)
    with pytest.raises(BadFileSystemError, match="cannot be read"):
        READERS[kind](tmp_path / "missing", 0)
    with pytest.raises(BadFileSystemError):
        READERS[kind](made.image(*next(image for image in IMAGES if image[0] == kind)), 10**12)


def test_a_folder_inside_of_itself_is_an_error(small: dict[str, bytes], tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(small["ext4"])
    run_tool("debugfs", "-w", "-R", "link a a/b/again", image)

    with pytest.raises(BadFileSystemError, match="a folder that is in two places: a/b/again"):
        READERS["ext4"](image, 0)


def test_a_name_that_leaves_its_folder_is_an_error(small: dict[str, bytes], tmp_path: Path) -> None:
    for kind, reader in READERS.items():
        (tmp_path / kind).write_bytes(small[kind].replace(b"link", b"li/k"))
        with pytest.raises(BadFileSystemError, match="a name that cannot be in /: li/k"):
            reader(tmp_path / kind, 0)


def test_a_tree_of_extents_that_contains_itself_ends(small: dict[str, bytes], tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(small["ext4"])
    block = 100
    node = struct.pack("<HHHHI", 0xF30A, 84, 84, 1, 0) + struct.pack("<IIHH", 0, block, 0, 0) * 84
    with image.open("r+b") as file:
        file.seek(block * 1024)
        file.write(node)
    for field, value in (("block[0]", 0x0004F30A), ("block[1]", 0x00010004), ("block[4]", block)):
        run_tool("debugfs", "-w", "-R", f"set_inode_field a {field} {value}", image)

    with pytest.raises(BadFileSystemError, match="extents"):
        READERS["ext4"](image, 0)


@pytest.mark.parametrize("variant", ["gzip", "xz", "lz4", "zstd"])
def test_damage_in_compressed_tables_is_an_error(made: Made, tmp_path: Path, variant: str) -> None:
    if variant in MODULES:
        pytest.importorskip(MODULES[variant])
    data = bytearray(made.image("squashfs", variant).read_bytes())
    inodes = int.from_bytes(data[64:72], "little")
    for place in range(inodes + 2, inodes + 40):
        data[place] ^= 0x5A
    (tmp_path / "image").write_bytes(data)

    with pytest.raises(BadFileSystemError, match=r"cannot be decompressed|an inode"):
        READERS["squashfs"](tmp_path / "image", 0)
