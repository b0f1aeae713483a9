"""Our own packages, as they are installed beside this one: they go into the images."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from image_builder.errors import ClosureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_LEFT_OUT = {"__pycache__", "py.typed"}
_BUILDERS = ("bootselect", "gptlib", "image_builder")
"""The packages whose code decides on bytes: ours, and what it imports."""
_SAY_ONLY = ("image_builder/cli/", "image_builder/progress.py", "image_builder/show.py", "image_builder/svg.py")
"""What talks to people: the command lines turn words into the arguments of ``image_builder.api``, which keys hold as such; the
progress only listens; ``show`` reads images that are finished."""


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


@cache
def builder_digest() -> str:
    """Changes whenever code or data does that can change the bytes of an image: 32 hexadecimal digits, found once per process.

    All of image_builder, bootselect and gptlib but what only talks to people. Raises ClosureError.
    """
    return digest_of_code({name: package_folder(name) for name in _BUILDERS})


def digest_of_code(packages: Mapping[str, Path]) -> str:
    """As ``builder_digest``, of packages in these folders."""
    digest = hashlib.sha256()
    for name, file in sorted(_code(packages)):
        if not name.startswith(_SAY_ONLY):
            with open(file, "rb") as stream:  # noqa: PTH123  (half the time of Path.read_bytes, two hundred times)
                content = stream.read()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:32]


def _code(packages: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    folders = [(name, str(folder)) for name, folder in packages.items()]
    while folders:
        name, folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name in _LEFT_OUT:
                    continue
                if entry.is_dir():
                    folders.append((f"{name}/{entry.name}", entry.path))
                else:
                    yield f"{name}/{entry.name}", entry.path
