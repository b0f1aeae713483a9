"""Layers, damage, faults, and copies for the judges; qemu-img and the raw bytes are the reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from qemu_tests.errors import ImageError, MissingToolError
from qemu_tests.harness.disk import BadSector, CutAt, LayeredDisk, image_info
from tests.support import run_tool

MIB = 1 << 20
SIZE = 5 * MIB + 7 * 512


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """No whole number of MiB, and every sector different."""
    path = tmp_path / "image, with comma.raw"
    path.write_bytes(b"".join(number.to_bytes(4, "big") * 128 for number in range(SIZE // 512)))
    return path


@pytest.fixture
def disk(image: Path, tmp_path: Path) -> LayeredDisk:
    folder = tmp_path / "layers"
    folder.mkdir()
    return LayeredDisk(image, folder)


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_a_copy_for_the_judges_has_both_ends_and_the_size(
    disk: LayeredDisk, image: Path, tmp_path: Path, layers: int
) -> None:
    for _ in range(layers):
        disk.push()
    original = image.read_bytes()
    copy = disk.copy_tables(tmp_path / "tables.raw")
    data = copy.read_bytes()
    assert len(data) == disk.size == SIZE
    assert data[:MIB] == original[:MIB]
    assert data[-65536:] == original[-65536:]
    assert not list(tmp_path.glob("tables.[!r]*"))


def test_damage_goes_to_a_layer_and_never_to_the_image(disk: LayeredDisk, image: Path, tmp_path: Path) -> None:
    before = image.read_bytes()
    disk.write_zeros(512, 33 * 512)
    assert image.read_bytes() == before
    exported = disk.export(tmp_path / "all.raw").read_bytes()
    assert exported == before[:512] + bytes(33 * 512) + before[34 * 512 :]


def test_every_push_freezes_what_was_below(disk: LayeredDisk, tmp_path: Path) -> None:
    first = disk.push()
    disk.push()
    disk.write_zeros(0, 512)
    assert "512/512 bytes" in run_tool("qemu-io", "-r", "-f", "qcow2", "-c", "read -P 0 0 512", disk.top)
    again = LayeredDisk(first, tmp_path)
    assert again.format == "qcow2"
    assert run_tool("qemu-io", "-r", "-f", "qcow2", "-c", "read -P 0 0 4", first).startswith("read 4/4")


def test_a_cut_strikes_once_and_freezes(disk: LayeredDisk) -> None:
    node = disk.blockdev("disk", [CutAt(2)])
    assert node["driver"] == "blkdebug"
    assert node["inject-error"] == [{"event": "none", "iotype": "write", "sector": 2, "errno": 5, "once": True}]


def test_a_bad_sector_stays_bad(disk: LayeredDisk) -> None:
    assert disk.blockdev("disk", [BadSector(2)])["inject-error"] == [
        {"event": "none", "iotype": "write", "sector": 2, "errno": 5, "once": False}
    ]


def test_without_faults_nothing_stands_between_guest_and_image(disk: LayeredDisk) -> None:
    layer = disk.push()
    assert disk.blockdev("disk") == {
        "node-name": "disk",
        "driver": "qcow2",
        "file": {"driver": "file", "filename": str(layer)},
    }


def test_an_image_that_is_not_there_is_an_error_of_one_line(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="there is no such image; build one with image-builder"):
        image_info(tmp_path / "none.raw")
    with pytest.raises(ImageError, match="is no file"):
        image_info(tmp_path)


@pytest.mark.parametrize("size", [0, 512, MIB])
def test_an_image_that_is_too_small_for_partitions_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "small.raw"
    path.write_bytes(bytes(size))
    with pytest.raises(ImageError, match="too few for a disk with partitions"):
        LayeredDisk(path, tmp_path)


def test_a_missing_qemu_img_names_its_package(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(MissingToolError, match=r"qemu-img: not found.*apt-get install qemu-utils\)"):
        image_info(image)


@pytest.mark.parametrize("name", ["-o,x", "nbd:a", "json:{}", "--help"])
def test_no_name_of_an_image_or_folder_is_an_option_or_a_protocol(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    original, odd = image.read_bytes(), Path(name)
    odd.mkdir()
    image.rename(odd / name)
    disk = LayeredDisk(odd / name, odd)
    disk.push()
    disk.write_zeros(512, 512)
    assert disk.copy_tables(odd / "tables.raw").read_bytes()[:512] == original[:512]
    assert disk.export(odd / "all.raw").read_bytes() == original[:512] + bytes(512) + original[1024:]


def test_no_name_in_the_current_folder_is_a_protocol(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    original = image.read_bytes()
    image.rename("nbd:image")
    assert image_info(Path("nbd:image")).size == SIZE
    disk = LayeredDisk(Path("nbd:image"), Path())
    assert disk.copy_tables(Path("nbd:tables")).read_bytes()[:MIB] == original[:MIB]
