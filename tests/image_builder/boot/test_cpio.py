"""The archive is read by programs that are not ours: here by BusyBox's cpio."""

from __future__ import annotations

import io
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest

from image_builder.boot.cpio import Entry, character_device, file, folder, link, tree, write_archive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from image_builder.distribution.packages import TargetPackages

    Cpio = Callable[..., str]


@pytest.fixture(scope="module")
def cpio(target: TargetPackages) -> Cpio:
    busybox = target.package("busybox-static").root / "bin/busybox"

    def run(archive: bytes, *options: str, cwd: Path | None = None) -> str:
        command = [str(busybox), "cpio", *options]
        return subprocess.run(command, input=archive, capture_output=True, check=True, cwd=cwd).stdout.decode()

    return run


def archive(*entries: Entry) -> bytes:
    stream = io.BytesIO()
    write_archive(stream, entries)
    return stream.getvalue()


def test_what_is_packed_comes_out_again(cpio: Cpio, tmp_path: Path) -> None:
    for length in range(6):
        data = archive(
            file("a" * (length + 1), b"x" * length, 0o755), file("dir/b", b"\0\xff" * 5000), link("c", "dir/b")
        )
        place = tmp_path / str(length)
        place.mkdir()
        cpio(data, "-i", "-d", cwd=place)
        first = place / ("a" * (length + 1))
        assert first.read_bytes() == b"x" * length
        assert stat.S_IMODE(first.stat().st_mode) == 0o755
        assert (place / "c").readlink().name == "b"
        assert (place / "c").read_bytes() == b"\0\xff" * 5000


def test_folders_that_nobody_named_come_before_what_is_in_them(cpio: Cpio) -> None:
    data = archive(file("usr/lib/a/b", b""), file("usr.txt", b""), folder("usr/lib", 0o700))
    assert cpio(data, "-t").split() == ["usr", "usr/lib", "usr/lib/a", "usr/lib/a/b", "usr.txt"]


def test_device_nodes_and_owners_need_no_root(cpio: Cpio) -> None:
    lines = cpio(archive(character_device("dev/console", 5, 1), folder("tmp", 0o1777)), "-t", "-v").splitlines()
    assert [line.split()[:2] for line in lines] == [["drwxr-xr-x", "0/0"], ["crw-------", "0/0"], ["drwxrwxrwt", "0/0"]]


def test_a_device_node_has_its_numbers_where_the_format_wants_them() -> None:
    # buffer-format.rst: rmaj and rmin are the tenth and eleventh field of eight digits after the magic of six.
    data = archive(character_device("console", 5, 1))
    assert (int(data[78:86], 16), int(data[86:94], 16)) == (5, 1)


def test_the_order_in_which_entries_are_given_changes_nothing() -> None:
    entries = [file("b", b"2"), file("a", b"1"), folder("c")]
    assert archive(*entries) == archive(*reversed(entries))


def test_a_file_of_the_disk_gives_the_same_bytes_as_its_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    assert archive(file("a", tmp_path / "a")) == archive(file("a", b"content"))


def test_a_tree_is_taken_as_it_is_but_for_owners_times_and_odd_permissions(cpio: Cpio, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir(mode=0o700)
    (tmp_path / "sub/tool").write_text("x")
    (tmp_path / "sub/tool").chmod(0o710)
    (tmp_path / "text").write_text("x")
    (tmp_path / "text").chmod(0o600)
    (tmp_path / "to").symlink_to("/sub")
    permissions = [line.split()[0] for line in cpio(archive(*tree(tmp_path)), "-t", "-v").splitlines()]
    assert permissions == ["drwxr-xr-x", "-rwxr-xr-x", "-rw-r--r--", "lrwxrwxrwx"]


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../up", "a/../../b", "a\0b"])
def test_a_path_that_would_leave_the_root_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="relative and stay below its root"):
        file(path, b"")


@pytest.mark.parametrize("names", [("a", "a"), ("a/b", "a//b")])
def test_a_name_cannot_stand_twice(names: Sequence[str]) -> None:
    with pytest.raises(ValueError, match="is in the archive twice"):
        archive(*(file(name, b"") for name in names))
