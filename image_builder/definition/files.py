"""Files that are laid over a tree: the tables ``files`` of a definition, and those that a command line adds."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from image_builder.definition import values
from image_builder.definition.model import SlotFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from image_builder.definition.section import Section

_EXAMPLE = "such as '/etc/motd'"


def read_files(section: Section) -> tuple[SlotFile, ...]:
    """The table ``files`` of a section."""
    table = section.table("files")
    fields = {path: table.get_any(path) for path in table}
    problems = file_problems(fields, section.folder)
    for path, problem in problems:
        table.wrong(path, problem)
    return () if problems else _files(fields, section.folder)


def files_to_lay(fields: Mapping[str, object], folder: Path) -> tuple[SlotFile, ...]:
    """The files, by their paths in the tree; relative sources are looked for in ``folder``.

    Raises ValueError with everything that is wrong, in one line.
    """
    problems = file_problems(fields, folder)
    if problems:
        raise ValueError("; ".join(f"{path!r} {problem}" for path, problem in problems))
    return _files(fields, folder)


def _files(fields: Mapping[str, object], folder: Path) -> tuple[SlotFile, ...]:
    return tuple(SlotFile(path, folder / str(source)) for path, source in sorted(fields.items()))


def file_problems(fields: Mapping[str, object], folder: Path) -> list[tuple[str, str]]:
    """What is wrong with files to be laid over a tree: path and problem."""
    own = [(path, problem) for path, source in fields.items() for problem in _problems(path, source, folder)]
    return own + list(_conflicts(fields))


def _problems(path: str, source: object, folder: Path) -> Iterator[str]:
    if not _is_path_in_slot(path):
        yield (
            f"is not a path in it; expected one that begins with '/' and holds no '.', '..', empty or "
            f"unprintable part, {_EXAMPLE}"
        )
        if isinstance(source, dict):
            return
    if not isinstance(source, (str, Path)) or not str(source):
        yield f"is {values.show(source)}; expected the path of a file"
        return
    found = folder / source
    if not found.is_file():
        what = "is not a regular file" if found.exists() else "does not exist"
        yield f"is {str(source)!r}; expected the path of a file, and {found} {what}"
    elif not os.access(found, os.R_OK):
        yield f"is {str(source)!r}; expected a file that can be read, and {found} cannot be"


def _is_path_in_slot(path: str) -> bool:
    parts = path.split("/")
    return path.isprintable() and len(parts) > 1 and not parts[0] and not {"", ".", ".."}.intersection(parts[1:])


def _conflicts(fields: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for path in fields:
        for folder in PurePosixPath(path).parents:
            if str(folder) in fields:
                yield path, f"lies below {str(folder)!r}, which is a file here; expected at most one of the two"
