"""Trees of files with nothing of the machine that builds them: modes are 0755 or 0644, links stay links."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def copy_file(source: Path, target: Path, *, executable: bool | None = None) -> None:
    """Copy the bytes of a file, replacing what is there; executable as told or else as the source is. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copyfile(source, target)
    runs = os.access(source, os.X_OK) if executable is None else executable
    target.chmod(0o755 if runs else 0o644)


def merge_tree(source: Path, target: Path, *, executable: bool | None = None) -> None:
    """Copy a tree into ``target``, through the symbolic links that are there already. Raises OSError."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if entry.is_symlink():
            if not (place.is_symlink() and place.is_dir()):
                place.unlink(missing_ok=True)
                place.symlink_to(entry.readlink())
        elif entry.is_dir():
            merge_tree(entry, place, executable=executable)
        else:
            copy_file(entry, place, executable=executable)


def fix_folder_modes(root: Path) -> None:
    """Make every folder of a tree 0755, whatever the umask of the builder is. Raises OSError."""
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o755)


def write_text(path: Path, text: str, *, executable: bool = False) -> None:
    """Write a text file. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755 if executable else 0o644)
