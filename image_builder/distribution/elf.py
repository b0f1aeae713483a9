"""What programs and extension modules ask of the dynamic linker, read with ``readelf``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from image_builder.errors import LibraryError, PackageContentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from image_builder.run import Runner


def linker_of(runner: Runner, program: Path) -> str:
    """The absolute path of the dynamic linker that a program asks for. Raises PackageContentError for a static one."""
    match = re.search(r"program interpreter: ([^\]]+)\]", runner.run(["readelf", "-lW", program]).decode())
    if match is None:
        raise PackageContentError(program, "it asks for no dynamic linker; expected a dynamically linked program")
    return match[1]


def needed_by(runner: Runner, file: Path) -> list[str]:
    """The names of the shared libraries (DT_NEEDED) of one file."""
    return re.findall(r"\(NEEDED\).*\[([^\]]+)\]", runner.run(["readelf", "-dW", file]).decode())


def library_closure(runner: Runner, files: Iterable[Path], folders: Sequence[Path]) -> list[Path]:
    """The shared libraries that the files need, and that those need, each once. Raises LibraryError."""
    found: dict[str, Path] = {}
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        for name in needed_by(runner, file):
            if name in found:
                continue
            found[name] = _find(name, file, folders)
            waiting.append(found[name])
    return [found[name] for name in sorted(found)]


def _find(name: str, needed_by: Path, folders: Sequence[Path]) -> Path:
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    raise LibraryError(name, needed_by.name)
