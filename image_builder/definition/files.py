"""Files that are laid over a slot: the ``[slot.files]`` of a definition, and those that a command line adds."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from image_builder.definition import values
from image_builder.definition.model import SlotFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_EXAMPLE = "such as '/etc/motd'"


def slot_files(fields: Mapping[str, object], folder: Path) -> tuple[SlotFile, ...]:
    """The files, by their paths in the slot; relative sources are looked for in ``folder``.

    Raises ValueError with everything that is wrong, in one line.
    """
    problems = [problem for path, source in fields.items() for problem in _problems(path, source, folder)]
    problems += _conflicts(fields)
    if problems:
        raise ValueError("; ".join(problems))
    return tuple(SlotFile(path, folder / str(source)) for path, source in sorted(fields.items()))


def _problems(path: str, source: object, folder: Path) -> Iterator[str]:
    if not _is_path_in_slot(path):
        yield (
            f"{path!r} is not a path in the slot; expected one that begins with '/' and holds no '.', '..', empty or "
            f"unprintable part, {_EXAMPLE}"
        )
    if not isinstance(source, (str, Path)) or not str(source):
        yield f"{path!r} is {values.show(source)}; expected the path of a file"
        return
    found = folder / source
    if not found.is_file():
        what = "is not a regular file" if found.exists() else "does not exist"
        yield f"{path!r} is {str(source)!r}; expected the path of a file, and {found} {what}"
    elif not os.access(found, os.R_OK):
        yield f"{path!r} is {str(source)!r}; expected a file that can be read, and {found} cannot be"


def _is_path_in_slot(path: str) -> bool:
    parts = path.split("/")
    return path.isprintable() and len(parts) > 1 and not parts[0] and not {"", ".", ".."}.intersection(parts[1:])


def _conflicts(fields: Mapping[str, object]) -> Iterator[str]:
    for path in fields:
        for folder in PurePosixPath(path).parents:
            if str(folder) in fields:
                yield f"{path!r} lies below {str(folder)!r}, which is a file here; expected at most one of the two"
