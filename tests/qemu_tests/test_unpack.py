"""The kernel is taken out of an image that sgdisk, mtools and binutils made."""

from __future__ import annotations

import shutil
import subprocess
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
    with pytest.raises(ImageError, match=r"holds no unified kernel image nor a boot entry: /EFI/BOOT/BOOTX64\.EFI, "):
        kernel_of(image, tmp_path / "out")


def test_an_empty_esp_is_refused(image: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="holds no unified kernel image"):
        kernel_of(image, tmp_path / "out")


@pytest.mark.slow
def test_a_disk_without_esp_is_refused(image: Path, tmp_path: Path) -> None:
    run_tool("sgdisk", "-d", "2", image)
    with pytest.raises(ImageError, match="has no EFI system partition"):
        kernel_of(image, tmp_path / "out")


def test_what_is_no_disk_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zeros.raw"
    path.write_bytes(bytes(4 << 20))
    with pytest.raises(ImageError, match="cannot be read as a disk"):
        kernel_of(path, tmp_path / "out")


@pytest.mark.slow
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


def put(image: Path, path: str, content: bytes | str, start: int = START) -> None:
    esp = f"{image}@@{start * 512}"
    source = image.with_name("source")
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    parent = ""
    for part in path.split("/")[:-1]:
        parent += f"/{part}"
        subprocess.run(["mmd", "-D", "s", "-i", esp, f"::{parent}"], capture_output=True, check=False)
    run_tool("mcopy", "-o", "-i", esp, source, f"::/{path}")


def put_entry(image: Path, name: str, version: str, start: int = START, more: str = "") -> None:
    put(image, f"debian/{version}/linux", f"kernel {version}", start)
    put(image, f"debian/{version}/initrd", f"initrd {version}", start)
    text = f"title Debian\nlinux /debian/{version}/linux\ninitrd /debian/{version}/initrd\noptions root=LABEL=x\noptions quiet\n"
    put(image, f"loader/entries/{name}.conf", f"# made by hand\n{text}{more}", start)


def kernel_in(image: Path) -> str:
    return kernel_of(str(image), str(image.with_name("out"))).kernel.read_text().rstrip("\0")


@pytest.mark.slow
def test_the_newest_entry_of_systemd_boot_is_taken(image: Path, tmp_path: Path) -> None:
    for version in ("6.1.9", "6.1.10", "6.1.10~rc1"):
        put_entry(image, f"debian-{version}", version)
    put(image, "microcode", "microcode ")
    put_entry(image, "debian-6.1.11", "6.1.11", more="initrd /microcode\n")
    put_entry(image, "debian-6.2+0-3", "6.2")
    put(image, "loader/entries/shell.conf", "title Shell\nefi /shell.efi\n")
    found = kernel_of(image, tmp_path / "out")
    assert found.kernel.read_text() == "kernel 6.1.11"
    assert found.initramfs.read_text() == "initrd 6.1.11microcode "
    assert found.command_line == "root=LABEL=x quiet"


@pytest.mark.slow
@pytest.mark.parametrize("default", ["debian-6.1.9.conf", "*6.1.9*", "debian-6.1.9"])
def test_unless_loader_conf_names_another(image: Path, default: str) -> None:
    for version in ("6.1.9", "6.1.10"):
        put_entry(image, f"debian-{version}", version)
    put(image, "loader/loader.conf", f"timeout 3\ndefault {default}\n")
    assert kernel_in(image) == "kernel 6.1.9"


def test_entries_with_a_sort_key_come_first_the_newest_of_them(image: Path) -> None:
    put_entry(image, "z-9", "9")
    for version in ("1", "2"):
        put_entry(image, f"a-{version}", version, more=f"sort-key debian\nversion {version}\n")
    assert kernel_in(image) == "kernel 2"


@pytest.mark.slow
@pytest.mark.parametrize("path", ["EFI/Linux/debian-6.1.efi", "EFI/BOOT/BOOTAA64.EFI"])
def test_a_unified_image_is_found_where_it_may_be(image: Path, tmp_path: Path, path: str) -> None:
    put(image, path, make_loader(tmp_path).read_bytes())
    assert kernel_in(image) == "kernel"


@pytest.mark.slow
def test_entries_may_be_on_xbootldr(image: Path) -> None:
    run_tool("sgdisk", "-t", "1:ea00", image)
    run_tool("mformat", "-i", f"{image}@@{4096 * 512}", "-T", "2048", "-h", "1", "-s", "1", "::")
    put_entry(image, "debian-1", "1", start=4096)
    put(image, "loader/loader.conf", "default debian-*\n")
    assert kernel_in(image) == "kernel 1"


def test_an_entry_that_names_what_is_not_there_is_refused(image: Path, tmp_path: Path) -> None:
    put(image, "loader/entries/a.conf", "linux /no/kernel\n")
    with pytest.raises(ImageError, match=r"the boot entry a\.conf names /no/kernel, which is not there"):
        kernel_of(image, tmp_path / "out")
