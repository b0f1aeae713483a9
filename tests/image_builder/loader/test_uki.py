"""The unified kernel image, read back with binutils."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from image_builder.errors import BadStubError, MissingToolError, OutputError, PackageContentError
from image_builder.loader.uki_file import build_uki
from image_builder.run import SystemRunner

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.distribution.packages import TargetPackages

CMDLINE = "gpt panic=-1 oops=panic console=ttyS0"
OS_RELEASE = 'ID=slotboot\nPRETTY_NAME="Slotboot Größe"\n'


class WithoutBinutils(SystemRunner):
    def tool(self, name: str) -> str:
        if name in {"objcopy", "objdump"}:
            raise MissingToolError(name, "binutils")
        return super().tool(name)


@pytest.fixture(scope="module")
def stub(target: TargetPackages) -> Path:
    return target.package("systemd-boot-efi").root / "usr/lib/systemd/boot/efi/linuxx64.efi.stub"


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    """A kernel and an initramfs whose sizes are no multiples of anything."""
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "kernel").write_bytes(bytes(range(256)) * 4000 + b"odd")
    (folder / "initramfs").write_bytes(b"initramfs" * 3001)
    return {"kernel": folder / "kernel", "initramfs": folder / "initramfs"}


def build(runner: SystemRunner, output: Path, stub: Path, parts: dict[str, Path]) -> Path:
    return build_uki(runner, output, stub=stub, **parts, cmdline=CMDLINE, os_release=OS_RELEASE)


def sections(program: Path) -> dict[str, tuple[int, int]]:
    """Name -> address and size, as objdump reads them."""
    out = subprocess.run(["objdump", "-h", str(program)], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"^\s*\d+ (\S+)\s+([0-9a-f]+)\s+([0-9a-f]+)", out, re.MULTILINE)
    return {name: (int(address, 16), int(size, 16)) for name, size, address in rows}


def section(program: Path, name: str) -> bytes:
    copy = program.with_name("section")
    subprocess.run(
        ["objcopy", "-O", "binary", "--dump-section", f"{name}={copy}", str(program), "/dev/null"], check=True
    )
    return copy.read_bytes()


def test_every_part_can_be_taken_out_again(
    runner: SystemRunner, stub: Path, parts: dict[str, Path], tmp_path: Path
) -> None:
    uki = build(runner, tmp_path / "uki.efi", stub, parts)
    assert section(uki, ".linux") == parts["kernel"].read_bytes()
    assert section(uki, ".initrd") == parts["initramfs"].read_bytes()
    assert section(uki, ".cmdline") == CMDLINE.encode()
    assert section(uki, ".osrel") == OS_RELEASE.encode()


def test_sections_lie_on_pages_of_their_own_after_those_of_the_stub(
    runner: SystemRunner, stub: Path, parts: dict[str, Path], tmp_path: Path
) -> None:
    uki = build(runner, tmp_path / "uki.efi", stub, parts)
    stubs = sections(stub)
    added = {name: place for name, place in sections(uki).items() if name not in stubs}
    assert list(added) == [".osrel", ".cmdline", ".linux", ".initrd"]
    end = max(address + size for address, size in stubs.values())
    for address, size in added.values():
        assert address >= end
        assert address % 4096 == 0
        end = address + size
    assert {name: sections(uki)[name] for name in stubs} == stubs


def test_the_clock_leaves_no_trace(runner: SystemRunner, stub: Path, parts: dict[str, Path], tmp_path: Path) -> None:
    first, second = (build(runner, tmp_path / name, stub, parts) for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    out = subprocess.run(
        ["objdump", "-p", str(first)], capture_output=True, text=True, check=True, env={"TZ": "UTC"}
    ).stdout
    assert re.search(r"Time/Date\s+Thu Jan  1 00:00:00 1970", out)
    assert re.search(r"CheckSum\s+0+$", out, re.MULTILINE)


@pytest.mark.parametrize("content", [b"", b"no program at all"])
def test_a_stub_that_is_no_program_is_named_and_leaves_no_file(
    runner: SystemRunner, parts: dict[str, Path], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "stub").write_bytes(content)
    with pytest.raises(BadStubError, match="stub: not a usable UEFI stub"):
        build(runner, tmp_path / "uki.efi", tmp_path / "stub", parts)
    assert not (tmp_path / "uki.efi").exists()


def test_a_linux_program_in_place_of_the_stub_is_refused(
    runner: SystemRunner, target: TargetPackages, parts: dict[str, Path], tmp_path: Path
) -> None:
    busybox = target.package("busybox-static").root / "bin/busybox"
    with pytest.raises(BadStubError, match="busybox: not a usable UEFI stub: it is not a PE program"):
        build(runner, tmp_path / "uki.efi", busybox, parts)


def test_a_missing_kernel_leaves_no_file(
    runner: SystemRunner, stub: Path, parts: dict[str, Path], tmp_path: Path
) -> None:
    parts["kernel"].unlink()
    with pytest.raises(PackageContentError, match="kernel: it is missing"):
        build(runner, tmp_path / "uki.efi", stub, parts)
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]


def test_missing_binutils_are_named(stub: Path, parts: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match="apt-get install binutils"):
        build(WithoutBinutils(), tmp_path / "uki.efi", stub, parts)
    assert [path.name for path in tmp_path.iterdir()] == ["parts"]


def test_an_output_that_cannot_be_written_is_named(
    runner: SystemRunner, stub: Path, parts: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "uki.efi").mkdir()
    with pytest.raises(OutputError, match=r"uki\.efi: cannot be written: Is a directory"):
        build(runner, tmp_path / "uki.efi", stub, parts)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts", "uki.efi"]
