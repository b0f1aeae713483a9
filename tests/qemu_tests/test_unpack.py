"""The kernel is taken out of an image that sgdisk, mtools and binutils made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from qemu_tests.errors import ImageError
from qemu_tests.harness.unpack import kernel_of
from tests.support import run_tool

START = 2048


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.raw"
    with path.open("wb") as file:
        file.truncate(8 << 20)
    run_tool("sgdisk", "-n", "1:4096:6143", "-n", f"2:{START}:4095", "-t", "2:ef00", path)
    run_tool("mformat", "-i", f"{path}@@{START * 512}", "-T", "2048", "-h", "1", "-s", "1", "::")
    return path


def make_loader(folder: Path) -> Path:
    parts = {".linux": b"kernel", ".initrd": b"initramfs", ".cmdline": b"gpt quiet\n\0"}
    options = []
    for place, (name, content) in enumerate(parts.items(), 1):
        (folder / name).write_bytes(content)
        options += ["--add-section", f"{name}={folder / name}", "--change-section-vma", f"{name}={place * 0x10000:#x}"]
    (folder / "stub").write_bytes(b"stub")
    run_tool("objcopy", "-I", "binary", "-O", "pei-x86-64", "-B", "i386:x86-64", folder / "stub", folder / "stub.o")
    run_tool("objcopy", *options, folder / "stub.o", folder / "loader.o")
    return folder / "loader.o"


def put_loader(image: Path, loader: Path) -> None:
    esp = f"{image}@@{START * 512}"
    run_tool("mmd", "-i", esp, "::/EFI", "::/EFI/BOOT")
    run_tool("mcopy", "-i", esp, loader, "::/EFI/BOOT/BOOTX64.EFI")


def test_kernel_initramfs_and_command_line_are_found(image: Path, tmp_path: Path) -> None:
    put_loader(image, make_loader(tmp_path))
    found = kernel_of(image, tmp_path / "out")
    assert found.kernel.read_bytes().rstrip(b"\0") == b"kernel"
    assert found.initramfs.read_bytes().rstrip(b"\0") == b"initramfs"
    assert found.command_line == "gpt quiet"


def test_a_loader_that_is_no_unified_kernel_is_refused(image: Path, tmp_path: Path) -> None:
    (tmp_path / "grub").write_bytes(b"MZ something else")
    put_loader(image, tmp_path / "grub")
    with pytest.raises(ImageError, match=r"holds no unified kernel image in /EFI/BOOT/BOOTX64\.EFI"):
        kernel_of(image, tmp_path / "out")


def test_an_empty_esp_is_refused(image: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="holds no unified kernel image"):
        kernel_of(image, tmp_path / "out")


def test_a_disk_without_esp_is_refused(image: Path, tmp_path: Path) -> None:
    run_tool("sgdisk", "-d", "2", image)
    with pytest.raises(ImageError, match="has no EFI system partition"):
        kernel_of(image, tmp_path / "out")


def test_what_is_no_disk_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zeros.raw"
    path.write_bytes(bytes(4 << 20))
    with pytest.raises(ImageError, match="cannot be read as a disk"):
        kernel_of(path, tmp_path / "out")


@pytest.mark.parametrize("name", ["-o,x", "a@@1M", "c:d", "[ab]*?"])
def test_no_name_of_an_image_or_folder_is_anything_else(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    put_loader(image, make_loader(tmp_path))
    monkeypatch.chdir(tmp_path)
    odd = Path(name)
    odd.mkdir()
    shutil.copy(image, odd / f"{name}.raw")
    assert kernel_of(odd / f"{name}.raw", odd / "out").kernel.read_bytes().rstrip(b"\0") == b"kernel"
