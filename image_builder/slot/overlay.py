"""Lays files over the tree of a slot."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from image_builder.distribution.sources import digest_of
from image_builder.errors import SlotFileError
from image_builder.slot.tree import copy_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from image_builder.definition.model import SlotFile

_MOST_LINKS = 40
"""As many as the kernel follows (MAXSYMLINKS)."""


def lay_files(root: Path, files: Sequence[SlotFile]) -> None:
    """Copy files into the tree ``root``: new ones, and in place of what is there. Executable is what its source is.

    Links to folders on the way are followed as the slot would, ``/`` being ``root``; a link in the place itself is replaced.
    Raises SlotFileError and OSError; some of the files may then be in the tree.
    """
    taken: dict[Path, str] = {}
    for file in files:
        place = _place(root, file)
        first = taken.setdefault(place, file.path)
        if first != file.path:
            raise SlotFileError(file.path, f"is the same file of the slot as {first}; give one of the two")
        if place.is_dir() and not place.is_symlink():
            raise SlotFileError(file.path, "is a folder of the slot; give the path of a file in it")
        copy_file(file.source, place)


def digest_of_files(files: Sequence[SlotFile]) -> str:
    """Changes whenever a path, the bytes or the mode of a file does: 32 hexadecimal digits. Raises OSError."""
    executable = [file.path for file in files if os.access(file.source, os.X_OK)]
    return digest_of({file.path: file.source for file in files}, *executable)


def _place(root: Path, file: SlotFile) -> Path:
    """Where the file goes: its folders with all symbolic links followed inside ``root``, and its name."""
    *folders, name = file.path.strip("/").split("/")
    folder, links = root, 0
    while folders:
        part = folders.pop(0)
        if part == "..":
            folder = root if folder == root else folder.parent
        elif (folder / part).is_symlink():
            links += 1
            if links > _MOST_LINKS:
                raise SlotFileError(file.path, f"leads through more than {_MOST_LINKS} symbolic links")
            target = (folder / part).readlink()
            folder = root if target.is_absolute() else folder
            folders[:0] = target.relative_to(target.anchor).parts
        else:
            folder /= part
            if folder.exists() and not folder.is_dir():
                raise SlotFileError(
                    file.path, f"cannot be made: /{folder.relative_to(root)} is not a folder of the slot"
                )
    return folder / name
