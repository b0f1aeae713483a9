"""Errors of image_builder: one class per situation, each with the path and the values that explain it.

The text of every error is one line that says where, what was found, what was expected and what to do. None of them
leaves anything half-written: finished files appear under their names by a rename.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

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


class ToolFailedError(BuildError):
    """A program ran and failed; what it was writing had a temporary name and is gone."""

    def __init__(self, argv: Sequence[str], code: int, last_line: str) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
        command = " ".join(shlex.join(argv).split())
        shown = command if len(command) <= _LONGEST_COMMAND else f"{command[:_LONGEST_COMMAND]}..."
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


class DefinitionError(BuildError):
    """An image definition is wrong. Nothing was built."""

    def __init__(self, path: Path, key: str, detail: str) -> None:
        super().__init__(f"{path}: {key}: {detail}" if key else f"{path}: {detail}")
        self.path, self.key = path, key


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
