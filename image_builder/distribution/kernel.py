"""The target's kernel and the modules that an image needs.

Which module needs which is read from the modules themselves (section .modinfo), as ``modules.dep`` is only written when a
kernel package is installed, and nothing is installed here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from image_builder.errors import KernelModuleError, PackageContentError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from image_builder.distribution.packages import Package, TargetPackages

_ELF64_LITTLE = b"\x7fELF\x02\x01"
_SECTION = struct.Struct("<IIQQQQIIQQ")
"""Elf64_Shdr of the System V ABI: name, type, flags, address, offset, size, link, info, alignment, entry size."""


@dataclass(frozen=True)
class Kernel:
    """The content of a kernel package. ``image`` is the bzImage, itself an EFI program; ``modules`` the folder of modules.

    ``identity`` changes whenever the content does. Everything lies in the cache: read it only.
    """

    root: Path
    release: str
    image: Path
    modules: Path
    identity: str

    def module_files(self, names: Iterable[str]) -> list[Path]:
        """The files of these modules and of all that they need, in the order in which to load them.

        Names as modprobe takes them (``-`` and ``_`` mean the same); built-in ones need no file and are left out.
        ``file.relative_to(kernel.root)`` is the place in an image. Raises KernelModuleError and PackageContentError.
        """
        ordered: dict[str, Path] = {}
        for name in names:
            self._load(_canonical(name), (), ordered)
        return list(ordered.values())

    def _load(self, name: str, needed_by: tuple[str, ...], ordered: dict[str, Path]) -> None:
        if name in ordered or name in self._built_in:
            return
        file = self._files.get(name)
        if file is None:
            raise KernelModuleError(name, self.release, needed_by[-1] if needed_by else "")
        if name in needed_by:
            raise PackageContentError(file, f"modules need each other: {' -> '.join([*needed_by, name])}")
        for other in _needs(file):
            self._load(other, (*needed_by, name), ordered)
        ordered[name] = file

    @cached_property
    def _files(self) -> dict[str, Path]:
        return {_canonical(file.stem): file for file in sorted((self.modules / "kernel").rglob("*.ko"))}

    @cached_property
    def _built_in(self) -> frozenset[str]:
        lines = (self.modules / "modules.builtin").read_text().splitlines()
        files = {_canonical(line.rpartition("/")[2].removesuffix(".ko")) for line in lines}
        # The crypto API asks for algorithms under names that are aliases of modules.
        aliases = (self.modules / "modules.builtin.modinfo").read_bytes().split(b"\0")
        words = (line.decode(errors="replace").partition(".alias=")[2] for line in aliases)
        return frozenset({*files, *(_canonical(word) for word in words if word)})


def target_kernel(packages: TargetPackages) -> Kernel:
    """The distribution's default cloud kernel. Raises PackageContentError, and what ``TargetPackages.packages`` raises."""
    return kernel_in(packages.package(packages.kernel_name()))


def kernel_in(package: Package) -> Kernel:
    """The kernel of an unpacked package. Raises PackageContentError when it is not the one kernel that is expected."""
    images = sorted((package.root / "boot").glob("vmlinuz-*"))
    if len(images) != 1:
        raise PackageContentError(package.root / "boot", f"expected one vmlinuz-RELEASE, found {len(images)}")
    release = images[0].name.removeprefix("vmlinuz-")
    for folder in (package.root / "lib/modules" / release, package.root / "usr/lib/modules" / release):
        if (folder / "modules.builtin").is_file():
            return Kernel(package.root, release, images[0], folder, package.identity)
    raise PackageContentError(package.root / "lib/modules" / release, "expected the kernel's modules here")


def _canonical(name: str) -> str:
    return name.strip().replace("-", "_")


def _needs(file: Path) -> list[str]:
    """The modules that must be loaded before this one: its symbols' owners, and what it asks for by ``softdep=pre:``."""
    info = dict(_modinfo(file))
    before, marker = [], ""
    for word in info.get("softdep", "").split():
        if word.endswith(":"):
            marker = word
        elif marker == "pre:":
            before.append(word)
    depends = [name for name in info.get("depends", "").split(",") if name]
    return [_canonical(name) for name in [*before, *depends]]


def _modinfo(file: Path) -> list[tuple[str, str]]:
    """The ``key=value`` strings of the section .modinfo (include/linux/module.h, MODULE_INFO)."""
    data = file.read_bytes()
    try:
        section = _section(data, b".modinfo")
    except (struct.error, IndexError, StopIteration) as error:
        raise PackageContentError(file, "it is not a kernel module for a 64-bit machine, or it is damaged") from error
    pairs = (entry.decode(errors="replace").partition("=") for entry in section.split(b"\0") if entry)
    return [(key, value) for key, _, value in pairs]


def _section(data: bytes, wanted: bytes) -> bytes:
    if not data.startswith(_ELF64_LITTLE):
        raise IndexError
    (table,) = struct.unpack_from("<Q", data, 0x28)
    entry_size, count, names_index = struct.unpack_from("<HHH", data, 0x3A)
    sections = [_SECTION.unpack_from(data, table + place * entry_size) for place in range(count)]
    names = data[sections[names_index][4] :][: sections[names_index][5]]
    found = next(section for section in sections if names[section[0] :].split(b"\0", 1)[0] == wanted)
    return data[found[4] :][: found[5]]
