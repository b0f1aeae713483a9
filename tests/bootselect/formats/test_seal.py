"""The seal stands where the file system ends, whatever made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bootselect.formats.seal import Seal, decode_seal, encode_seal, seal_offset
from bootselect.initramfs.mount import InitramfsError, UnusableSlotError
from bootselect.initramfs.verity import open_verity, read_seal, verified
from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path

SEAL = Seal(data_blocks=100, hash_start=101, root_hash=bytes(range(32)), salt=b"salt")


@pytest.fixture(params=["erofs", "squashfs", "ext4"])
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    tree, path = tmp_path / "tree", tmp_path / "image"
    tree.mkdir()
    (tree / "file").write_bytes(bytes(range(256)) * 100)
    if request.param == "erofs":
        run_tool("mkfs.erofs", path, tree)
    elif request.param == "squashfs":
        run_tool("mksquashfs", tree, path, "-quiet", "-no-progress", "-nopad")
    else:
        run_tool("mkfs.ext4", "-q", "-b", "1024", "-d", tree, path, "3001k")
    return path


def test_the_end_of_the_file_system_is_found(image: Path) -> None:
    size = image.stat().st_size
    assert seal_offset(image.read_bytes()[:4096]) == -(-size // 4096) * 4096


def test_a_seal_is_read_from_behind_the_file_system(image: Path) -> None:
    end = seal_offset(image.read_bytes()[:4096])
    with image.open("r+b") as file:
        file.truncate(end + (1 << 20))
    assert read_seal(str(image)) is None
    assert verified(str(image), required=False, proven=True) == str(image)
    with pytest.raises(UnusableSlotError, match="is not sealed"):
        verified(str(image), required=True, proven=True)
    with image.open("r+b") as file:
        file.seek(end)
        file.write(encode_seal(SEAL))
    assert read_seal(str(image)) == SEAL


def test_what_is_no_file_system_has_no_seal(tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(bytes(8192))
    assert read_seal(str(path)) is None


def test_a_seal_of_another_version_is_not_believed() -> None:
    block = bytearray(encode_seal(SEAL))
    block[8] = 2
    assert decode_seal(bytes(block)) is None


@pytest.mark.parametrize("changed", [{"data_blocks": 1 << 63}, {"hash_start": 1 << 40}, {"data_blocks": 0}])
def test_a_seal_of_something_larger_than_the_slot_makes_that_slot_unusable(
    image: Path, changed: dict[str, Any]
) -> None:
    end = seal_offset(image.read_bytes()[:4096])
    with image.open("r+b") as file:
        file.truncate(end + (1 << 20))
        file.seek(end)
        file.write(encode_seal(SEAL._replace(**changed)))
    with pytest.raises(UnusableSlotError, match="but its seal is for"):
        verified(str(image), required=False, proven=True)


def test_a_device_mapper_that_is_missing_is_not_the_fault_of_the_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bootselect.initramfs.verity._CONTROL", str(tmp_path / "missing"))
    with pytest.raises(InitramfsError, match="the device mapper is not there"):
        open_verity("/dev/sda3", SEAL, on_corruption="")
