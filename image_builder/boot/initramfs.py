"""The initramfs: BusyBox, the target's Python with our selector, the kernel modules, and the settings."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from bootselect.initramfs.config import BOOT_CONF
from bootselect.integration.needs import FIRMWARE_VARIABLES
from image_builder.boot.cpio import Entry, character_device, file, folder, link, tree, write_archive
from image_builder.cache import replacing
from image_builder.distribution.kernel import read_module
from image_builder.distribution.sources import package_folder
from image_builder.errors import PackageContentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from image_builder.distribution.kernel import Kernel
    from image_builder.distribution.python import PythonTree
    from image_builder.run import Runner

DISKS = ("virtio_pci", "virtio_blk")
"""The disks of virtual machines; NVMe is built in."""
DEFAULT_MODULES = (*DISKS, "erofs", *FIRMWARE_VARIABLES)
"""Those, the slots of the default image, and the name of the partition that was booted."""
_FOLDERS = ("dev", "proc", "run", "slot", "sys", "tmp")
_COMPRESSORS = {"lz4": ("lz4", "-q", "-l", "-9", "-", "-"), "zstd": ("zstd", "-q", "-19", "-T1", "-c")}
"""lz4 (the legacy frame that the kernel reads) unpacks in a third of the time of zstd, and is 40 % larger; level 12 would be 0.3 %
smaller than 9 and take longer to unpack. One thread's output is the same on every machine."""


def build_initramfs(
    runner: Runner,
    output: Path,
    *,
    python: PythonTree,
    kernel: Kernel,
    busybox: Path,
    boot_conf: Mapping[str, str],
    modules: Sequence[str] = DEFAULT_MODULES,
    init: Path | None = None,
    compression: str = "lz4",
) -> Path:
    """Write the initramfs to ``output``, compressed with lz4 or zstd; same inputs, same bytes. Returns ``output``.

    ``boot_conf`` becomes /etc/bootselect/boot.conf; ``init`` is bootselect's own unless another is given. Raises
    KernelModuleError, PackageContentError, MissingToolError, ToolFailedError and OutputError; ``output`` appears whole or
    not at all.
    """
    init = init or package_folder("bootselect") / "initramfs/init"
    for needed in (busybox, init):
        if not needed.is_file():
            raise PackageContentError(needed, "it is missing; the initramfs needs it")
    entries = initramfs_entries(
        python=python,
        kernel=kernel,
        busybox=busybox,
        applets=_applets(runner, busybox),
        boot_conf=boot_conf,
        modules=modules,
        init=init,
    )
    archive = io.BytesIO()
    write_archive(archive, entries)
    with replacing(output) as temporary:
        temporary.write_bytes(runner.run(_COMPRESSORS[compression], stdin=archive.getvalue()))
    return output


def initramfs_entries(
    *,
    python: PythonTree,
    kernel: Kernel,
    busybox: Path,
    applets: Sequence[str],
    boot_conf: Mapping[str, str],
    modules: Sequence[str],
    init: Path,
) -> list[Entry]:
    """What the initramfs holds. Errors as ``build_initramfs``."""
    files = kernel.module_files(modules)
    places = [kernel.place(path) for path in files]
    return [
        *(folder(name) for name in _FOLDERS),
        # For the time before devtmpfs is mounted: without them PID 1 has no output.
        character_device("dev/console", 5, 1),
        character_device("dev/null", 1, 3, 0o666),
        file("init", init, 0o755),
        file("bin/busybox", busybox, 0o755),
        *(link(f"bin/{applet}", "busybox") for applet in applets),
        *tree(python.root),
        *(file(place, read_module(path)) for place, path in zip(places, files, strict=True)),
        file("etc/bootselect/modules", "".join(f"/{place}\n" for place in places).encode()),
        file(BOOT_CONF[1:], "".join(f"{key}={value}\n" for key, value in boot_conf.items()).encode()),
    ]


def _applets(runner: Runner, busybox: Path) -> list[str]:
    """The commands that this BusyBox has, by asking it."""
    names = runner.run([busybox, "--list"]).decode().split()
    return [name for name in names if name != "busybox"]
