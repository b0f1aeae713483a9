"""What an image lost is found, and told of with its path."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from image_builder.filesystem.compare import differences, require_same
from image_builder.filesystem.errors import NotKeptError
from image_builder.filesystem.listing import Entry, list_folder
from image_builder.filesystem.reading import erofs, squashfs
from tests.image_builder.filesystem.test_listing import as_somebody
from tests.image_builder.filesystem.trees import CAPABILITY, LONGEST, ODD, in_fakeroot, listing_of, making

FILE = Entry(stat.S_IFREG | 0o4755, 1, 2, 3, xattrs=(CAPABILITY,), first=b"a")
LINK = Entry(stat.S_IFLNK | 0o777, 0, 0, target=b"there")
DEVICE = Entry(stat.S_IFCHR | 0o600, 0, 0, device=(5, 1))
ROOT = {b"": Entry(stat.S_IFDIR | 0o755, 0, 0)}


@pytest.mark.parametrize(
    ("entry", "change", "told"),
    [
        (FILE, {"mode": stat.S_IFREG | 0o755}, ["mode 0755 instead of 4755"]),
        (FILE, {"mode": stat.S_IFDIR | 0o755}, ["type folder instead of file"]),
        (FILE, {"uid": 0}, ["owner 0 instead of 1"]),
        (FILE, {"gid": 70000}, ["group 70000 instead of 2"]),
        (FILE, {"size": 0}, ["size 0 instead of 3"]),
        (FILE, {"first": b""}, ["hard links one name instead of one file with a"]),
        (FILE, {"xattrs": ()}, [f"xattr security.capability none instead of {CAPABILITY[1].hex()}"]),
        (FILE, {"xattrs": (CAPABILITY, (b"user.x", b""))}, ["xattr user.x an empty value instead of none"]),
        (LINK, {"target": b"elsewhere"}, ["link target elsewhere instead of there"]),
        (DEVICE, {"device": (5, 257)}, ["device 5:257 instead of 5:1"]),
        (FILE, {"uid": 0, "gid": 0}, ["owner 0 instead of 1", "group 0 instead of 2"]),
    ],
)
def test_every_change_is_told(entry: Entry, change: dict[str, Any], told: list[str]) -> None:
    found = differences(ROOT | {b"a": entry}, ROOT | {b"a": replace(entry, **change)})

    assert [str(difference) for difference in found] == [f"a: {words}" for words in told]


def test_what_is_missing_and_what_was_added_is_told() -> None:
    assert [str(difference) for difference in differences(ROOT | {b"a": FILE}, ROOT | {b"b\n": FILE})] == [
        "a is missing",
        "b\\n is added",
    ]


def test_texts_that_look_alike_are_different_all_the_same() -> None:
    lookalike = replace(LINK, target=b"\\xff")

    assert len(differences({b"a": lookalike}, {b"a": replace(LINK, target=b"\xff")})) == 1


def test_the_folder_of_mkfs_ext4_is_allowed_and_a_file_of_its_name_is_not() -> None:
    assert differences(ROOT, ROOT | {b"lost+found": ROOT[b""]}) == []
    assert differences(ROOT, ROOT | {b"lost+found": FILE}) != []
    assert differences(ROOT | {b"lost+found": ROOT[b""]}, ROOT) != []


def test_the_error_names_the_image_the_first_differences_and_their_number() -> None:
    expected = ROOT | {b"file %d" % number: FILE for number in range(5)}
    require_same(Path("usr.erofs"), expected, dict(expected))

    with pytest.raises(NotKeptError) as caught:
        require_same(Path("usr.erofs"), expected, ROOT)
    assert str(caught.value) == (
        "usr.erofs: 5 differences from what it was made of (file 0 is missing; file 1 is missing; file 2 is missing; and 2 more); "
        "the image is not used"
    )


def test_a_folder_that_mksquashfs_skips_with_exit_code_0_is_found(tmp_path: Path) -> None:
    tree, image = tmp_path / "tree", tmp_path / "image"
    (tree / "secret").mkdir(parents=True)
    (tree / "secret/file").touch()
    expected = list_folder(tree)
    (tree / "secret").chmod(0)

    assert as_somebody(tmp_path, "mksquashfs", "tree", "image", "-no-progress", "-quiet").returncode == 0
    (tree / "secret").chmod(0o755)

    assert "secret/file is missing" in [
        str(difference) for difference in differences(expected, squashfs.read_listing(image))
    ]


def test_owners_and_capabilities_that_mkfs_erofs_drops_when_told_are_found(tmp_path: Path) -> None:
    in_fakeroot(
        making(tmp_path / "tree"),
        ("mkfs.erofs", "--quiet", "-T0", "--all-root", "-x-1", str(tmp_path / "image"), str(tmp_path / "tree")),
    )

    found = [str(difference) for difference in differences(ODD, erofs.read_listing(tmp_path / "image"))]
    assert "far: owner 0 instead of 70000" in found
    assert f"ping: xattr security.capability none instead of {CAPABILITY[1].hex()}" in found
    assert "acl folder: xattr system.posix_acl_default none instead of " in "\n".join(found)


def test_access_lists_that_a_squashfs_cannot_hold_are_found() -> None:
    found = differences(ODD | LONGEST, listing_of("squashfs", "gzip"))

    assert {(difference.path, difference.what) for difference in found} == {
        (b"acl", "xattr system.posix_acl_access"),
        (b"acl folder", "xattr system.posix_acl_default"),
    }
