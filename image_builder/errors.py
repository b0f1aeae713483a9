"""Errors of image_builder: one class per situation, each with the path and the values that explain it.

The text of every error is one line that says where, what was found, what was expected and what to do. None of them
leaves anything half-written: finished files appear under their names by a rename.
"""

from __future__ import annotations

import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gptlib.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONGEST_COMMAND = 300


class BuildError(Exception):
    """Base of everything that image_builder raises on purpose."""


class MissingToolError(BuildError):
    """A program that the build needs is not installed."""

    def __init__(self, tool: str, debian_package: str) -> None:
        super().__init__(
            f"{tool}: not found in PATH, /usr/sbin or /sbin; install it (Debian: apt-get install {debian_package})"
        )
        self.tool, self.debian_package = tool, debian_package


class MissingPythonPackageError(BuildError):
    """A Python package that only some builds need is not installed."""

    def __init__(self, package: str, needed_for: Path) -> None:
        super().__init__(
            f"{needed_for}: the Python package {package} is needed to unpack it; install it (pip install {package}, Debian: "
            f"apt-get install python3-{package})"
        )
        self.package, self.needed_for = package, needed_for


class ToolFailedError(BuildError):
    """A program ran and failed; what it was writing had a temporary name and is gone."""

    def __init__(self, argv: Sequence[str], code: int, last_line: str) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
        command = " ".join(shlex.join(argv).split())
        shown = textwrap.shorten(
            command, _LONGEST_COMMAND, placeholder=" ...", break_long_words=False, break_on_hyphens=False
        )
        super().__init__(f"{Path(argv[0]).name} {how}: {last_line or 'it said nothing'} (command: {shown})")
        self.argv, self.code, self.last_line = tuple(argv), code, last_line


class NoPackageListsError(BuildError):
    """apt knows no packages at all: its lists were never fetched or were deleted."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self.wanted = tuple(wanted)
        super().__init__(
            f"apt has no package lists, so it cannot find {', '.join(self.wanted)}: run 'apt-get update' as root, then try again"
        )


class MissingPackageError(BuildError):
    """The target distribution has no package of this name, as far as apt's lists know."""

    def __init__(self, package: str, detail: str) -> None:
        super().__init__(
            f"package {package}: {detail}; check that the package sources are those of Debian 12 or newer and run 'apt-get "
            "update' as root"
        )
        self.package = package


class DownloadError(BuildError):
    """apt knows the packages and could not fetch them. The cache is as it was."""

    def __init__(self, packages: Iterable[str], detail: str) -> None:
        self.packages = tuple(packages)
        first, more = self.packages[0], len(self.packages) - 1
        super().__init__(
            f"cannot download {first}{f' and {more} more packages' if more else ''}: {detail}; check the network, and run 'apt-get update' as root if "
            "the lists are old"
        )


class PackageContentError(BuildError):
    """A package of the target does not hold what it should."""

    def __init__(self, path: Path, expected: str) -> None:
        super().__init__(f"{path}: {expected}; fetch the packages again (--refresh) or use a release that has it")
        self.path = path


class KernelModuleError(BuildError):
    """A kernel module that was asked for, or one that it needs, is neither in the kernel nor in its package."""

    def __init__(self, module: str, release: str, needed_by: str) -> None:
        super().__init__(
            f"kernel module {module}{f' (needed by {needed_by})' if needed_by else ''}: not in the package of kernel {release} "
            "and not built in; correct its name or use a kernel that has it"
        )
        self.module, self.release = module, release


class ClosureError(BuildError):
    """The target's interpreter cannot import what an image has to run."""

    def __init__(self, modules: Sequence[str], detail: str) -> None:
        first, more = modules[0], len(modules) - 1
        super().__init__(
            f"the target's Python cannot import {first}{f' and {more} more modules' if more else ''}: {detail}; its packages "
            "must provide what is missing, or the import must be given up"
        )
        self.modules = tuple(modules)


class LibraryError(BuildError):
    """A shared library that a program or extension module needs is in none of the fetched packages."""

    def __init__(self, library: str, needed_by: str) -> None:
        super().__init__(
            f"shared library {library}, needed by {needed_by}, is in none of the target's packages that were fetched"
        )
        self.library, self.needed_by = library, needed_by


class BadStubError(BuildError):
    """The UEFI stub is not a PE program that sections can be added to."""

    def __init__(self, path: Path, detail: str) -> None:
        super().__init__(f"{path}: not a usable UEFI stub: {detail}; expected systemd's linuxx64.efi.stub")
        self.path = path


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong in a definition; ``line`` is counted from 1, 0 where there is none (a command line, a missing file)."""

    path: Path
    key: str
    detail: str
    line: int = 0

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else str(self.path)
        return printable(f"{place}: {self.key}: {self.detail}" if self.key else f"{place}: {self.detail}")


class DefinitionError(BuildError):
    """An image definition is wrong: all that was found, a line for each. Nothing was built."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


class NoSystemError(BuildError):
    """What a slot is to be made of is no system that the selector would boot. Nothing was built."""

    def __init__(self, slot: str, what: str, places: Sequence[str]) -> None:
        super().__init__(
            f"{slot}: it has no {what}, so the selector would pass it over; expected one of {', '.join(f'/{p}' for p in places)}"
        )
        self.slot, self.what = slot, what


class SlotFileError(BuildError):
    """A file cannot be laid over a slot where the definition wants it. Nothing was built."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"slot.files: {path} {problem}")
        self.path = path


class TooLargeError(BuildError):
    """What was built does not fit where it has to go. Nothing was written there."""

    def __init__(self, path: Path, size: int, limit: int, what: str) -> None:
        super().__init__(
            f"{path}: {size} bytes do not fit into {what} of {limit} bytes; make {what} at least {-(-size // 2**20)} MiB or the "
            "content smaller"
        )
        self.path, self.size, self.limit, self.what = path, size, limit, what


class OutputError(BuildError):
    """A folder or file of the output or of the cache cannot be written."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: cannot be written: {reason}; give a folder that you may write to and that has room")
        self.path = path


class NoSpaceError(OutputError):
    """The file system of the output, of the cache or of the temporary files is full. Nothing half-written is left."""

    def __init__(self, path: Path, reason: str, mount: Path, free: int, needed: int | None = None) -> None:
        room = f"{free} bytes are free" + (f" and {needed} are needed" if needed is not None else "")
        BuildError.__init__(
            self,
            f"{path}: {reason}: on the file system at {mount}, {room}; make room there ('image-builder cache clean' does in the "
            "cache), or put the output (-o), the cache (SLOTBOOT_CACHE) or the temporary files (TMPDIR) elsewhere",
        )
        self.path, self.free, self.mount, self.needed = path, free, mount, needed


class EpochError(BuildError):
    """SOURCE_DATE_EPOCH is not a time that the file systems of an image can hold. Nothing was built."""

    def __init__(self, value: str, first: int, last: int) -> None:
        super().__init__(
            f"SOURCE_DATE_EPOCH: is {value!r}; expected whole seconds since 1970 from {first} (1980: FAT has no earlier time) to "
            f"{last} (2038: mkfs.ext4 1.47.0 has no later one)"
        )
        self.value = value
