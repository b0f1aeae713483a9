"""The unified kernel image: kernel, initramfs and command line in one EFI program, around systemd's stub.

The sections are those of the UAPI Group's specification "Unified Kernel Image" and of systemd-stub(7). The stub of systemd
252 is not relocated section by section: each section needs a free address of its own after those that the stub has.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from image_builder.cache import replacing, working_folder
from image_builder.errors import BadStubError, PackageContentError, ToolFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from image_builder.run import Runner

PAGE = 4096
"""Bytes; the alignment of the sections."""

_PE_HEADER_POINTER, _TIME_STAMP, _CHECKSUM = 0x3C, 8, 24 + 64
"""Offsets of "PE Format": in the file, and two after the signature "PE\\0\\0"."""


class Section(NamedTuple):
    """A section to add: the file with its content."""

    name: str
    file: Path


def build_uki(
    runner: Runner, output: Path, *, stub: Path, kernel: Path, initramfs: Path, cmdline: str, os_release: str
) -> Path:
    """Write a UKI to ``output``; same inputs, same bytes. Returns ``output``, which appears whole or not at all.

    ``cmdline`` and ``os_release`` are the texts themselves. Raises BadStubError, PackageContentError, MissingToolError,
    ToolFailedError and OutputError.
    """
    with working_folder(output.parent) as folder:
        texts = {".osrel": os_release, ".cmdline": cmdline}
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        sections = [
            *(Section(name, folder / name) for name in texts),
            Section(".linux", kernel),
            Section(".initrd", initramfs),
        ]
        for part in (kernel, initramfs):
            if not part.is_file():
                raise PackageContentError(part, "it is missing; the UKI needs it")
        arguments = _arguments(sections, _end_of(runner, stub))
        with replacing(output) as temporary:
            runner.run(["objcopy", *arguments, stub, temporary])
            _make_reproducible(temporary)
            temporary.chmod(0o644)
    return output


def _arguments(sections: Iterable[Section], address: int) -> list[str]:
    arguments = []
    for section in sections:
        address = -(-address // PAGE) * PAGE
        arguments += ["--add-section", f"{section.name}={section.file}"]
        arguments += ["--change-section-vma", f"{section.name}={address:#x}"]
        address += section.file.stat().st_size
    return arguments


def _make_reproducible(program: Path) -> None:
    """Clear what objcopy takes from the clock: the COFF time stamp, and the checksum of the file, which depends on it.

    A checksum of zero means that there is none ("PE Format", Optional Header: only drivers and some DLLs must have one).
    """
    with program.open("r+b") as file:
        file.seek(_PE_HEADER_POINTER)
        header = int.from_bytes(file.read(4), "little")
        for field in (_TIME_STAMP, _CHECKSUM):
            file.seek(header + field)
            file.write(bytes(4))


def _end_of(runner: Runner, stub: Path) -> int:
    """The first address after the stub's sections."""
    try:
        listing = runner.run(["objdump", "-h", stub]).decode()
    except ToolFailedError as error:
        raise BadStubError(stub, error.last_line) from error
    if "pei-" not in listing:
        raise BadStubError(stub, "it is not a PE program")
    return end_of_sections(listing.splitlines())


def end_of_sections(lines: Sequence[str]) -> int:
    """From the lines of ``objdump -h``: number, name, size, address, ... in hexadecimal."""
    found = (re.match(r"\s*\d+ \S+\s+([0-9a-f]+)\s+([0-9a-f]+)\s", line) for line in lines)
    return max(int(match[1], 16) + int(match[2], 16) for match in found if match)
