"""Where there is no room, the error says which path, which file system, how much is free, and how much is needed where that is known."""

from __future__ import annotations

import errno
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from image_builder import room
from image_builder.cache import publish_folder, replacing
from image_builder.distribution.packages import TargetPackages
from image_builder.errors import NoSpaceError
from image_builder.run import SystemRunner
from tests.image_builder.distribution.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def assert_told(error: NoSpaceError, path: Path, mount: Path, *parts: str) -> None:
    text = str(error)
    assert len(text.splitlines()) == 1
    assert text.startswith(f"{path}: ")
    assert f"No space left on device: on the file system at {mount}, {error.free} bytes are free" in text
    for part in (*parts, "image-builder cache clean", "SLOTBOOT_CACHE", "TMPDIR"):
        assert part in text
    assert 0 <= error.free <= MIB


def write_two(path: Path) -> None:
    path.write_bytes(bytes(2 * MIB))


def test_an_output_without_room(small: Path) -> None:
    with pytest.raises(NoSpaceError) as caught, replacing(small / "image.raw", needed=2 * MIB) as temporary:
        write_two(temporary)
    assert_told(caught.value, small / "image.raw", small, f" and {2 * MIB} are needed")
    assert list(small.iterdir()) == []


def test_a_cache_without_room(small: Path) -> None:
    with pytest.raises(NoSpaceError) as caught:
        publish_folder(small / "kind/piece", lambda folder: write_two(folder / "file"))
    assert_told(caught.value, small / "kind/piece", small)
    assert [path.name for path in (small / "kind").iterdir()] == [".piece.lock"]


def test_a_program_that_could_not_write_its_output(small: Path, tmp_path: Path) -> None:
    (tmp_path / "two").write_bytes(bytes(2 * MIB))
    with pytest.raises(NoSpaceError) as caught, replacing(small / "image.raw") as temporary:
        SystemRunner().run(["cp", tmp_path / "two", temporary])
    assert_told(caught.value, small / "image.raw", small, "cp: ")


def test_a_program_that_could_not_write_its_temporary_files(small: Path) -> None:
    runner = SystemRunner({"PATH": "/usr/bin:/bin", "TMPDIR": str(small)})
    with pytest.raises(NoSpaceError) as caught:
        runner.run(["sh", "-c", 'dd if=/dev/zero of="$TMPDIR/x" bs=1M count=2 status=none'])
    assert_told(caught.value, small, small, "dd: ")


def test_unpacking_a_package_says_it_although_dpkg_deb_s_last_line_is_another(small: Path, tmp_path: Path) -> None:
    source = Repository(tmp_path / "source")
    source.add_standard()
    source.add("libc6", big="x" * 700_000)
    source.update()
    with pytest.raises(NoSpaceError) as caught:
        TargetPackages(source.runner(), small).package("libc6")
    assert_told(caught.value, small / "target/amd64/packages/libc6_1.0_amd64", small, "dpkg-deb: tar: ")
    assert not list(small.rglob(".slotboot-*"))


def test_a_download_that_cannot_fit_is_not_begun(small: Path, tmp_path: Path) -> None:
    source = Repository(tmp_path / "source")
    source.add_standard()
    source.add("libc6", big="x" * (3 * MIB))
    source.update()
    with pytest.raises(NoSpaceError) as caught:
        TargetPackages(source.runner(), small).package("libc6")
    assert caught.value.needed is not None
    assert caught.value.needed > 3 * MIB
    assert_told(caught.value, small / "target/amd64", small, f" and {caught.value.needed} are needed")


def test_without_mounting_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same on a file system that only says that it is full."""
    monkeypatch.setattr(room, "free_bytes", lambda path: 4096 if path.is_relative_to(tmp_path / "full") else 1 << 40)
    full = tmp_path / "full"
    with pytest.raises(
        NoSpaceError, match=f"{full}/image.raw: No space left .*, 4096 bytes are free and 8192 are needed; "
    ):
        room.check_room(full / "image.raw", 8192)
    room.check_room(full / "image.raw", 4096)
    with (
        pytest.raises(NoSpaceError, match=r"image.raw: No space left .* 4096 bytes are free; "),
        replacing(full / "image.raw"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    script = "echo tar: x: Cannot write: No space left on device >&2; echo dpkg-deb: error: tar subprocess returned 2 >&2; exit 2"
    with pytest.raises(
        NoSpaceError, match=f"{full}/b: sh: tar: x: Cannot write: No space left on device: on the file system"
    ):
        SystemRunner().run(["sh", "-c", script, tmp_path / "a", full / "b"])


def test_a_quota_is_called_one(tmp_path: Path) -> None:
    with (
        pytest.raises(NoSpaceError, match="Disk quota exceeded: on the file system at"),
        replacing(tmp_path / "image.raw"),
    ):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


def test_other_errors_of_a_block_that_reads_as_well_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "image.raw"):
        (tmp_path / "no such file").read_bytes()
    with pytest.raises(PermissionError), replacing(tmp_path / "image.raw"):
        raise PermissionError(errno.EACCES, "of what is read", "source")
