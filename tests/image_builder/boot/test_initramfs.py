"""The initramfs holds what its init expects, and the same inputs give the same bytes."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from image_builder.boot.initramfs import DEFAULT_MODULES, build_initramfs
from image_builder.cache import cache_root
from image_builder.distribution.kernel import Kernel, target_kernel
from image_builder.distribution.python import PythonTree, boot_python
from image_builder.errors import KernelModuleError, MissingToolError, PackageContentError
from image_builder.run import SystemRunner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from pathlib import Path

    from image_builder.distribution.packages import TargetPackages

CONF = {"policy": "gptprio", "slot-type": "coreos-usr", "fstype": "erofs", "on-nothing-bootable": "reboot"}


class Hurried(SystemRunner):
    """Compresses at the fastest level."""

    def run(
        self,
        argv: Sequence[str | PathLike[str]],
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> bytes:
        return super().run(["-1" if word == "-19" else word for word in argv], stdin=stdin, env=env, cwd=cwd)


class WithoutZstd(SystemRunner):
    """A machine where zstd is not installed."""

    def tool(self, name: str) -> str:
        if name == "zstd":
            raise MissingToolError(name, name)
        return super().tool(name)


class Build:
    """Builds an initramfs from the real parts, one of which a test may replace."""

    def __init__(self, busybox: Path, kernel: Kernel, python: PythonTree) -> None:
        self._busybox, self._kernel, self._python = busybox, kernel, python

    def __call__(
        self,
        output: Path,
        *,
        runner: SystemRunner | None = None,
        busybox: Path | None = None,
        modules: Sequence[str] = DEFAULT_MODULES,
        compression: str = "zstd",
    ) -> Path:
        return build_initramfs(
            runner or Hurried(),
            output,
            python=self._python,
            kernel=self._kernel,
            busybox=busybox or self._busybox,
            boot_conf=CONF,
            modules=modules,
            compression=compression,
        )


@pytest.fixture(scope="module")
def busybox(target: TargetPackages) -> Path:
    return target.package("busybox-static").root / "bin/busybox"


@pytest.fixture(scope="module")
def kernel(target: TargetPackages) -> Kernel:
    return target_kernel(target)


@pytest.fixture(scope="module")
def python(runner: SystemRunner, target: TargetPackages) -> PythonTree:
    return boot_python(runner, target, cache_root())


@pytest.fixture(scope="module")
def build(busybox: Path, kernel: Kernel, python: PythonTree) -> Build:
    return Build(busybox, kernel, python)


@pytest.fixture(scope="module")
def unpacked(build: Build, busybox: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The initramfs, unpacked by zstd and BusyBox's cpio."""
    folder = tmp_path_factory.mktemp("initramfs")
    archive = subprocess.run(
        ["zstd", "-dc", str(build(folder / "initramfs.zst"))], capture_output=True, check=True
    ).stdout
    root = folder / "root"
    root.mkdir()
    subprocess.run([str(busybox), "cpio", "-i"], input=archive, cwd=root, check=True, capture_output=True)
    return root


@pytest.mark.slow
def test_the_init_can_run_and_finds_its_shell(unpacked: Path) -> None:
    init = unpacked / "init"
    assert init.stat().st_mode & 0o111
    interpreter = init.read_text().splitlines()[0].removeprefix("#!").split()[0]
    assert (unpacked / interpreter[1:]).stat().st_mode & 0o111
    for applet in ("sh", "mount", "insmod", "switch_root", "setsid", "reboot", "poweroff", "umount"):
        assert (unpacked / "bin" / applet).resolve() == (unpacked / "bin/busybox").resolve()


def test_the_folders_that_are_mounted_on_are_there_and_empty(unpacked: Path) -> None:
    for name in ("proc", "sys", "run", "slot", "tmp"):
        assert list((unpacked / name).iterdir()) == []
    assert sorted(path.name for path in (unpacked / "dev").iterdir()) == ["console", "null"]


def test_modules_are_listed_in_load_order_by_absolute_paths(unpacked: Path) -> None:
    listed = (unpacked / "etc/bootselect/modules").read_text().splitlines()
    assert all(line.startswith("/") and (unpacked / line[1:]).is_file() for line in listed)
    stems = [line.rpartition("/")[2].removesuffix(".ko") for line in listed]
    assert set(DEFAULT_MODULES) <= set(stems)
    assert stems.index("virtio") < stems.index("virtio_pci")
    assert stems.index("libcrc32c") < stems.index("erofs")


def test_the_settings_are_those_that_were_given(unpacked: Path) -> None:
    lines = (unpacked / "etc/bootselect/boot.conf").read_text().splitlines()
    assert dict(line.split("=", 1) for line in lines) == CONF


def test_the_selector_is_imported_in_the_unpacked_root(unpacked: Path) -> None:
    libraries = unpacked / "usr/lib/x86_64-linux-gnu"
    command = [
        unpacked / "lib64/ld-linux-x86-64.so.2",
        "--library-path",
        libraries,
        unpacked / "usr/bin/python3",
        "-I",
        "-S",
    ]
    program = "import bootselect.initramfs.selector as selector; print(selector.__spec__.origin)"
    words = [str(word) for word in (*command, "-B", "-c", program)]
    out = subprocess.run(words, env={}, capture_output=True, text=True, check=True).stdout
    assert out.startswith(str(unpacked))


def test_the_same_inputs_give_the_same_bytes(build: Build, tmp_path: Path) -> None:
    assert build(tmp_path / "a").read_bytes() == build(tmp_path / "b").read_bytes()


def test_it_is_compressed_so_that_the_kernel_can_unpack_it(build: Build, tmp_path: Path) -> None:
    # CONFIG_RD_ZSTD; lib/decompress_unzstd.c takes windows of up to 128 MiB.
    listing = subprocess.run(
        ["zstd", "-lv", str(build(tmp_path / "a"))], capture_output=True, text=True, check=True
    ).stdout
    window = re.search(r"Window Size: .*\(([0-9]+) B\)", listing)
    assert window
    assert int(window[1]) <= 128 * 2**20


def test_lz4_holds_the_same_in_the_frame_that_the_kernel_reads(build: Build, tmp_path: Path) -> None:
    fast, small = build(tmp_path / "lz4", compression="lz4"), build(tmp_path / "zstd")
    # LEGACY_MAGICNUMBER of lib/decompress_unlz4.c.
    assert fast.read_bytes()[:4] == bytes.fromhex("02214c18")
    unpacked = [
        subprocess.run([tool, "-dc", str(path)], capture_output=True, check=True).stdout
        for tool, path in (("lz4", fast), ("zstd", small))
    ]
    assert unpacked[0] == unpacked[1]


def test_an_unknown_module_leaves_no_file(build: Build, tmp_path: Path) -> None:
    with pytest.raises(KernelModuleError, match="no_such_driver"):
        build(tmp_path / "a", modules=["no_such_driver"])
    assert list(tmp_path.iterdir()) == []


def test_a_missing_zstd_is_named_and_leaves_no_file(build: Build, tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match="zstd: not found"):
        build(tmp_path / "a", runner=WithoutZstd())
    assert list(tmp_path.iterdir()) == []


def test_a_package_without_busybox_is_named(build: Build, tmp_path: Path) -> None:
    with pytest.raises(PackageContentError, match="nowhere: it is missing"):
        build(tmp_path / "a", busybox=tmp_path / "nowhere")
