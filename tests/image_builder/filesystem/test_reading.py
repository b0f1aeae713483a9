"""Our readers find in a file system what was put into it, whatever made it and however it is stored."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from image_builder.filesystem.compare import differences
from image_builder.filesystem.errors import BadFileSystemError, UnreadableFeatureError
from image_builder.filesystem.listing import list_folder
from image_builder.filesystem.reading import erofs, ext4, squashfs
from tests.image_builder.filesystem.conftest import EROFS, EXT4, MODULES, SQUASHFS
from tests.image_builder.filesystem.trees import LONGEST, ODD, listing_of, make
from tests.support import run_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from image_builder.filesystem.listing import Listing
    from tests.image_builder.filesystem.conftest import Made

READERS: dict[str, Callable[[Path, int], Listing]] = {
    "erofs": erofs.read_listing,
    "squashfs": squashfs.read_listing,
    "ext4": ext4.read_listing,
}
IMAGES = [
    (kind, variant)
    for kind, variants in (("erofs", EROFS), ("squashfs", SQUASHFS), ("ext4", EXT4))
    for variant in variants
]


@pytest.mark.parametrize(("kind", "variant"), IMAGES)
def test_everything_that_was_made_is_found(made: Made, kind: str, variant: str) -> None:
    if variant in MODULES:
        pytest.importorskip(MODULES[variant])
    found = READERS[kind](made.image(kind, variant), 0)

    assert differences(listing_of(kind, variant), found) == []


@pytest.mark.parametrize(("kind", "variant"), [(kind, "plain" if kind != "squashfs" else "gzip") for kind in READERS])
def test_a_file_system_inside_of_a_disk_is_read_at_its_offset(
    made: Made, tmp_path: Path, kind: str, variant: str
) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"\xee" * 12345 + made.image(kind, variant).read_bytes() + b"\xee" * 999)

    assert READERS[kind](disk, 12345) == READERS[kind](made.image(kind, variant), 0)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize(("kind", "variant"), IMAGES)
def test_the_kernel_shows_the_same(made: Made, tmp_path: Path, kind: str, variant: str) -> None:
    if variant in MODULES:
        pytest.importorskip(MODULES[variant])
    mounted = subprocess.run(
        ["mount", "-t", kind, "-o", "ro,loop", made.image(kind, variant), tmp_path], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(mounted.stderr.decode())
    try:
        shown = list_folder(tmp_path)
    finally:
        run_tool("umount", tmp_path)

    assert differences(shown, READERS[kind](made.image(kind, variant), 0)) == []


def test_unsquashfs_lists_the_same(made: Made) -> None:
    image = made.image("squashfs", "gzip")
    found = squashfs.read_listing(image)

    lines = run_tool(
        "unsquashfs", "-lln", "-d", "", image, "dev/null", "dev/sda", "links", "setuid", "sticky"
    ).splitlines()
    assert len(lines) > 6
    for line in lines:
        mode, owner, size, *rest = line.split()
        entry = found[line.rpartition(":")[2][3:].lstrip("/").encode()]
        assert (mode, owner) == (stat.filemode(entry.mode), f"{entry.uid}/{entry.gid}")
        if stat.S_ISREG(entry.mode):
            assert int(size) == entry.size
        elif stat.S_ISCHR(entry.mode) or stat.S_ISBLK(entry.mode):
            assert (size, rest[0]) == (f"{entry.device[0]},", str(entry.device[1]))


@pytest.mark.parametrize("name", ["far folder", "setuid", "links/b", "fifo"])
def test_dump_erofs_and_debugfs_tell_the_same(made: Made, name: str) -> None:
    in_erofs = erofs.read_listing(made.image("erofs", "plain"))[name.encode()]
    in_ext4 = ext4.read_listing(made.image("ext4", "plain"))[name.encode()]

    of_erofs = run_tool("dump.erofs", f"--path=/{name}", made.image("erofs", "plain"))
    of_ext4 = run_tool("debugfs", "-R", f'stat "/{name}"', made.image("ext4", "plain"))
    assert f"Uid: {in_erofs.uid}   Gid: {in_erofs.gid}  Access: {in_erofs.mode & 0o777:04o}/" in of_erofs
    assert re.search(rf"User: +{in_ext4.uid}   Group: +{in_ext4.gid} ", of_ext4)
    assert re.search(rf"Mode: +0?{stat.S_IMODE(in_ext4.mode):04o} ", of_ext4)
    if stat.S_ISREG(in_ext4.mode):
        assert f"Size: {in_erofs.size} " in of_erofs
        assert f"Size: {in_ext4.size}\n" in of_ext4


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize(
    "features", ["^inline_data", "inline_data", "ea_inode,inline_data", "^dir_index,^extent,^64bit"]
)
def test_what_the_kernel_itself_wrote_is_found(tmp_path: Path, features: str) -> None:
    image, mounted = tmp_path / "image", tmp_path / "mounted"
    mounted.mkdir()
    run_tool("mkfs.ext4", "-q", "-F", "-b", "4096", "-I", "512", "-O", features, image, "24M")
    done = subprocess.run(["mount", "-o", "loop", image, mounted], capture_output=True)
    if done.returncode:
        pytest.skip(done.stderr.decode())
    try:
        make(ODD | LONGEST, os.fsencode(mounted))
        shown = list_folder(mounted)
    finally:
        run_tool("umount", mounted)

    if "^extent" in features:
        with pytest.raises(UnreadableFeatureError, match="map of blocks"):
            ext4.read_listing(image)
        return
    assert differences(shown, ext4.read_listing(image)) == []
    assert differences(ODD | LONGEST, ext4.read_listing(image)) == []
    if "^inline_data" in features:
        assert "Flags: 0x81000" in run_tool("debugfs", "-R", "stat many", image)  # an index of hashes
    else:
        assert "Flags: 0x10000000" in run_tool("debugfs", "-R", "stat dev", image)  # a folder in its inode


def test_a_folder_with_an_index_of_hashes_is_read_to_its_end(made: Made) -> None:
    indexed = made.image("ext4", "indexed")

    assert "Flags: 0x81000" in run_tool("debugfs", "-R", "stat many", indexed)
    assert differences(ext4.read_listing(made.image("ext4", "plain")), ext4.read_listing(indexed)) == []


def test_a_large_xattr_in_an_inode_of_its_own_is_read(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    value = bytes(range(250)) * 12
    os.setxattr(tree, "user.large", value)
    run_tool("mkfs.ext4", "-q", "-F", "-b", "1024", "-O", "ea_inode", "-d", tree, tmp_path / "image", "8M")

    assert (b"user.large", value) in ext4.read_listing(tmp_path / "image")[b""].xattrs


def test_a_file_beyond_4_gib_has_its_size(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "large").touch()
    os.truncate(tree / "large", 5 * 2**30 + 7)
    run_tool("mkfs.ext4", "-q", "-F", "-d", tree, tmp_path / "image", "8M")

    assert ext4.read_listing(tmp_path / "image")[b"large"].size == 5 * 2**30 + 7


def test_an_ext4_that_was_not_unmounted_is_not_read(made: Made, tmp_path: Path) -> None:
    image = tmp_path / "image"
    shutil.copyfile(made.image("ext4", "plain"), image)
    run_tool("debugfs", "-w", "-R", "feature needs_recovery", image)

    with pytest.raises(BadFileSystemError, match="not unmounted"):
        ext4.read_listing(image)


def test_a_squashfs_that_needs_a_module_names_the_package(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)

    with pytest.raises(UnreadableFeatureError, match="compressed by zstd; install the Python package zstandard"):
        squashfs.read_listing(made.image("squashfs", "zstd"))
    assert squashfs.read_listing(made.image("squashfs", "stored"))
