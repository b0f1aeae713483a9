"""Which modules a program needs: those that the target's interpreter loads for it, and those its functions import later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from image_builder.target.imports import imports_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from image_builder.target.interpreter import Interpreter

NOT_SHIPPED = ("_bz2", "_hashlib", "_lzma", "_ssl", "_uuid", "readline")
"""Extension modules that the standard library can do without and whose libraries (OpenSSL and so on) stay out of images."""
_NOT_CODECS = {"aliases", "__init__"}


@dataclass(frozen=True)
class Closure:
    """``loaded``: the names of the modules. ``files``: path below the folder of modules -> file, for those that have one."""

    loaded: tuple[str, ...]
    files: Mapping[str, Path]


def import_closure(
    interpreter: Interpreter, required: Iterable[str], folders: Sequence[Path], *, optional: Iterable[str] = ()
) -> Closure:
    """The closure of ``required`` with the packages in ``folders``: the first is ours, the others are foreign.

    Imports inside functions are followed in all modules from ``folders``, not in the standard library's, which guard theirs
    well. Codecs are modules, too: those whose names appear in our modules are taken along. Raises ClosureError.
    """
    wanted, possible = set(required), set(optional)
    scanned: set[str] = set()
    while True:
        loaded = interpreter.loaded_by(
            sorted(wanted), optional=sorted(possible - wanted), folders=folders, missing=NOT_SHIPPED
        )
        files = {name: Path(origin) for name, origin in loaded.items() if Path(origin).is_absolute()}
        new = [name for name, file in files.items() if name not in scanned and _is_below(file, folders)]
        if not new:
            places = [*folders, interpreter.standard_library]
            return Closure(tuple(sorted(loaded)), {_place(file, places): file for file in files.values()})
        for name in new:
            ours = _is_below(files[name], folders[:1])
            now, later = _names_in(name, files[name], interpreter.standard_library / "encodings")
            wanted |= now if ours else set()
            possible |= later if ours else now | later
        scanned.update(new)


def _names_in(name: str, file: Path, codecs: Path) -> tuple[set[str], set[str]]:
    """The modules that a module must, and may, import anywhere in it."""
    if file.suffix != ".py":
        return set(), set()
    imports = imports_of(file.read_text(encoding="utf-8"), name, is_package=file.name == "__init__.py")
    encodings = {
        f"encodings.{text}"
        for text in imports.texts - _NOT_CODECS
        if text.isidentifier() and (codecs / f"{text}.py").is_file()
    }
    return set(imports.required), {*imports.optional, *encodings}


def _is_below(file: Path, folders: Iterable[Path]) -> bool:
    return any(file.is_relative_to(folder) for folder in folders)


def _place(file: Path, folders: Iterable[Path]) -> str:
    """Where the file goes below the folder of modules: the same as now, whichever of the folders it lies in."""
    return str(next(file.relative_to(folder) for folder in folders if file.is_relative_to(folder)))
