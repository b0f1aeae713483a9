"""The target's kernel and the modules that an image needs.

Which module needs which is read from the modules themselves (section .modinfo), as ``modules.dep`` is only written when a
kernel package is installed, and nothing is installed here.
"""

from __future__ import annotations

import gzip
import lzma
import struct
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from image_builder.errors import KernelModuleError, MissingPythonPackageError, PackageContentError
from image_builder.fingerprint import fingerprint_of_file, fingerprint_of_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
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
        ``place`` says where each belongs in an image. Raises KernelModuleError and PackageContentError.
        """
        ordered: dict[str, Path] = {}
        for name in names:
            self._load(_canonical(name), (), ordered)
        return list(ordered.values())

    def place(self, file: Path) -> str:
        """Where a module belongs in an image, relative to its root."""
        inner = str(file.relative_to(self.modules))
        return f"lib/modules/{self.release}/{inner.partition('.ko')[0]}.ko"

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
        return {
            _canonical(file.name.partition(".ko")[0]): file
            for file in sorted((self.modules / "kernel").rglob("*.ko*"))
            if file.name.partition(".ko")[2] in _ENDINGS
        }

    @cached_property
    def _built_in(self) -> frozenset[str]:
        lines = (self.modules / "modules.builtin").read_text().splitlines()
        files = {_canonical(line.rpartition("/")[2].removesuffix(".ko")) for line in lines}
        # The crypto API asks for algorithms under names that are aliases of modules.
        aliases = (self.modules / "modules.builtin.modinfo").read_bytes().split(b"\0")
        words = (line.decode(errors="replace").partition(".alias=")[2] for line in aliases)
        return frozenset({*files, *(_canonical(word) for word in words if word)})


def read_module(file: Path) -> bytes:
    """The module itself, unpacked where the distribution packs its modules: BusyBox's insmod takes no packed ones.

    Raises PackageContentError, MissingPythonPackageError and OSError.
    """
    packing = file.name.partition(".ko")[2]
    try:
        return _unpack_zstd(file) if packing == ".zst" else _PACKED[packing](file.read_bytes())
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise PackageContentError(file, f"it cannot be unpacked: {error}") from error


def _unpack_zstd(file: Path) -> bytes:
    try:
        import zstandard
    except ModuleNotFoundError as error:
        raise MissingPythonPackageError("zstandard", file) from error
    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(file.read_bytes())
    except zstandard.ZstdError as error:
        raise EOFError(str(error)) from error


_PACKED: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".xz": lzma.decompress, ".gz": gzip.decompress}
_ENDINGS = frozenset({*_PACKED, ".zst"})
"""How distributions pack modules, by what follows ``.ko``."""


def target_kernel(packages: TargetPackages) -> Kernel:
    """The distribution's default cloud kernel. Raises PackageContentError, and what ``TargetPackages.packages`` raises."""
    return kernel_in(packages.package(packages.kernel_name()))


def given_kernel(image: Path, modules: Path) -> Kernel:
    """A kernel of the user's own: its bzImage, and the folder lib/modules/RELEASE of its modules. Raises PackageContentError."""
    if not (modules / "modules.builtin").is_file():
        raise PackageContentError(modules, "there is no modules.builtin in it; expected the folder lib/modules/RELEASE")
    identity = f"{fingerprint_of_file(image)} {fingerprint_of_folder(modules)}"
    return Kernel(modules.parent, modules.name, image, modules, identity)


def kernel_of_system(root: Path) -> Kernel:
    """The one kernel in the root file system of a distribution: in /boot, or beside its modules in /usr/lib/modules.

    Raises PackageContentError.
    """
    folders = [folder for top in ("lib/modules", "usr/lib/modules") for folder in sorted((root / top).glob("*/"))]
    found = {folder.resolve(): folder for folder in folders if (folder / "modules.builtin").is_file()}
    if len(found) != 1:
        raise PackageContentError(root / "lib/modules", f"expected the modules of one kernel, found {len(found)}")
    modules = next(iter(found.values()))
    for image in (root / "boot" / f"vmlinuz-{modules.name}", modules / "vmlinuz"):
        if image.is_file():
            return replace(given_kernel(image, modules), root=root)
    raise PackageContentError(root / "boot" / f"vmlinuz-{modules.name}", "expected the kernel of these modules here")


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
    data = read_module(file)
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
