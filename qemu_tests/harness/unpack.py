"""Takes the kernel out of an image, to boot it without the image's own boot loader or firmware."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gptlib import Disk, GptError, type_guid
from qemu_tests.errors import ImageError, ToolFailedError
from qemu_tests.harness.boot_entries import BootEntry, choose, default_of, parse_entry
from qemu_tests.harness.hardware import DirectKernel
from qemu_tests.harness.pe import pe_sections
from qemu_tests.harness.tools import run_tool

if TYPE_CHECKING:
    import os

LOADERS = ("EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/BOOTAA64.EFI")
ENTRIES, UNIFIED = "loader/entries", "EFI/Linux"
_TYPES = ("esp", "xbootldr")


def kernel_of(image: str | os.PathLike[str], folder: str | os.PathLike[str]) -> DirectKernel:
    """Kernel, initramfs and command line that a raw image starts by default.

    They come out of the unified kernel image at the place where firmware looks (``LOADERS``), or of the entry that
    systemd-boot takes: those of the Boot Loader Specification, on the EFI system partition and on XBOOTLDR.

    ``folder`` takes the files. Raises ImageError when there is none, MissingToolError (mtools), ToolFailedError.
    """
    source, target = Path(image), Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    partitions = _partitions(source, target)
    esp = partitions[0]
    for loader in LOADERS:
        if unified := esp.unified(loader):
            return unified.write(target)
    found = [(entry, partition) for partition in partitions for entry in partition.entries()]
    if not found:
        looked_for = ", ".join(f"/{path}" for path in (*LOADERS, f"{ENTRIES}/*.conf", f"{UNIFIED}/*.efi"))
        raise ImageError(
            source, f"its EFI system partition holds no unified kernel image nor a boot entry: {looked_for}"
        )
    default = default_of(esp.text("loader/loader.conf"))
    chosen = choose([entry for entry, _ in found], default)
    return next(partition for entry, partition in found if entry is chosen).files_of(chosen).write(target)


class _Parts:
    def __init__(self, kernel: bytes, initramfs: bytes, command_line: str) -> None:
        self.kernel, self.initramfs, self.command_line = kernel, initramfs, command_line

    def write(self, folder: Path) -> DirectKernel:
        (folder / "linux").write_bytes(self.kernel)
        (folder / "initrd").write_bytes(self.initramfs)
        return DirectKernel(folder / "linux", folder / "initrd", self.command_line)


class _Partition:
    """A FAT partition of an image, read with mtools."""

    def __init__(self, image: Path, offset: int, folder: Path) -> None:
        self._image, self._offset, self._scratch = image, offset, folder / "file"

    def _mtools(self, program: str, *words: str | Path) -> str:
        with self._image.open("rb") as file:
            # By its descriptor: mtools takes what follows the first @@ of a path for an offset.
            place = f"/proc/self/fd/{file.fileno()}@@{self._offset}"
            return run_tool(program, "-i", place, *words, pass_fds=[file.fileno()])

    def names(self, folder: str, suffix: str) -> list[str]:
        """The names of the files in a folder, none where there is no such folder."""
        try:
            listed = self._mtools("mdir", "-b", f"::/{folder}")
        except ToolFailedError:
            return []
        names = [line.rpartition("/")[2] for line in listed.splitlines()]
        return sorted(name for name in names if name.lower().endswith(suffix))

    def file(self, path: str) -> bytes | None:
        """The contents of a file; None where there is none."""
        try:
            self._mtools("mcopy", "-n", "-o", f"::/{path.lstrip('/')}", self._scratch)
        except ToolFailedError:
            return None
        data = self._scratch.read_bytes()
        self._scratch.unlink()
        return data

    def text(self, path: str) -> str:
        return (self.file(path) or b"").decode(errors="replace")

    def unified(self, path: str) -> _Parts | None:
        """What a unified kernel image is made of; None where there is none."""
        sections = pe_sections(self.file(path) or b"")
        if ".linux" not in sections:
            return None
        command_line = sections.get(".cmdline", b"").decode(errors="replace").strip(" \n\0")
        return _Parts(sections[".linux"], sections.get(".initrd", b""), command_line)

    def entries(self) -> list[BootEntry]:
        """Those of both types."""
        texts = [(name, self.text(f"{ENTRIES}/{name}")) for name in self.names(ENTRIES, ".conf")]
        first = [entry for name, text in texts if (entry := parse_entry(name, text)) is not None]
        return first + [BootEntry(name, f"{UNIFIED}/{name}") for name in self.names(UNIFIED, ".efi")]

    def files_of(self, entry: BootEntry) -> _Parts:
        """What an entry names. Raises ImageError when it is not there."""
        if entry.name.lower().endswith(".efi"):
            if (unified := self.unified(entry.linux)) is None:
                raise ImageError(self._image, f"/{entry.linux} is no unified kernel image")
            return unified
        contents = [self.file(path) for path in (entry.linux, *entry.initrds)]
        missing = [path for path, data in zip((entry.linux, *entry.initrds), contents, strict=True) if data is None]
        if missing:
            raise ImageError(self._image, f"the boot entry {entry.name} names {', '.join(missing)}, which is not there")
        kernel, *initrds = (data or b"" for data in contents)
        return _Parts(kernel, b"".join(initrds), entry.options)


def _partitions(image: Path, folder: Path) -> list[_Partition]:
    """The EFI system partition, and XBOOTLDR where there is one."""
    try:
        with Disk.open(image) as disk:
            table = disk.table()
    except GptError as error:
        raise ImageError(image, f"cannot be read as a disk: {error}") from error
    numbers = [table.find(type_guid=type_guid(name))[:1] for name in _TYPES]
    if not numbers[0]:
        raise ImageError(image, "it has no EFI system partition; build one with image-builder")
    offsets = [table.partition(number).first_lba * table.sector_size for found in numbers for number in found]
    return [_Partition(image, offset, folder) for offset in offsets]
