"""Our own packages, as they are installed beside this one: they go into the images."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from image_builder.errors import ClosureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LEFT_OUT = {"__pycache__", "py.typed"}


def package_folder(name: str) -> Path:
    """Where an installed package lies. Raises ClosureError."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ClosureError([name], "it is not installed; install slotboot with all its packages")
    return Path(spec.submodule_search_locations[0])


def our_files(names: Iterable[str]) -> dict[str, Path]:
    """All files of these packages: path in a folder of modules -> file. Raises ClosureError."""
    files = {}
    for name in sorted(names):
        folder = package_folder(name)
        for file in sorted(folder.rglob("*")):
            inner = file.relative_to(folder)
            if file.is_file() and not _LEFT_OUT.intersection(inner.parts):
                files[f"{name}/{inner}"] = file
    return files


def copy_files(files: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """Put the files into ``folder`` under their paths; returns where each is now."""
    for name, file in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return {name: folder / name for name in files}


def digest_of(files: Mapping[str, Path], *more: str) -> str:
    """Changes whenever a file, its path or one of the words does: 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for name, file in sorted(files.items()):
        digest.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
    digest.update("\0".join(more).encode())
    return digest.hexdigest()[:32]
