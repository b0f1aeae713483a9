"""Which modules a program needs: those that its interpreter loads for it, and those its functions import later."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.errors import BootselectError
from bootselect.integration.imports import imports_of
from bootselect.integration.needs import LANDMARK, NOT_SHIPPED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from bootselect.integration.interpreter import Interpreter

_NOT_CODECS = {"aliases", "__init__"}


class NoSourceError(BootselectError):
    """A module of ours is there without its source, so what its functions import cannot be found. Nothing was written."""

    def __init__(self, name: str, file: Path) -> None:
        super().__init__(
            f"{file}: the module {name} has no source, so its imports cannot be followed; install slotboot with sources"
        )
        self.name, self.file = name, file


@dataclass(frozen=True)
class Closure:
    """``loaded``: the names of the modules. ``files``: path below the folder of modules -> file, for those that have one."""

    loaded: tuple[str, ...]
    files: Mapping[str, Path]


def import_closure(
    interpreter: Interpreter,
    required: Iterable[str],
    *,
    ours: Collection[str],
    folders: Sequence[Path],
    optional: Iterable[str] = (),
    without: Iterable[str] = (),
) -> Closure:
    """The closure of ``required``, and the interpreter's landmark. Packages lie in ``folders``; ``ours`` are the names of our own.

    Imports inside functions are followed in all modules from ``folders``, not in the standard library's, which guard theirs
    well. What ours import must be there; other packages may try what is missing. Codecs are modules, too: those whose names
    appear in the modules from ``folders`` are taken along. What is imported where its failure is handled stays out when it is
    one of ``without``, with all that only it needs. Raises NoSourceError, and what ``Interpreter.loaded_by`` raises.
    """
    wanted, possible = set(required), set(optional)
    missing = [*NOT_SHIPPED, *without]
    scanned: set[str] = set()
    while True:
        loaded = interpreter.loaded_by(
            sorted(wanted), optional=sorted(possible - wanted), folders=folders, missing=missing
        )
        files = {name: Path(origin) for name, origin in loaded.items() if Path(origin).is_absolute()}
        new = [name for name, file in files.items() if name not in scanned and _is_below(file, folders)]
        if not new:
            landmark = {LANDMARK: interpreter.standard_library / LANDMARK}
            places = [*folders, interpreter.standard_library]
            return Closure(
                tuple(sorted(loaded)), {**landmark, **{_place(file, places): file for file in files.values()}}
            )
        for name in new:
            is_ours = name.partition(".")[0] in ours
            if is_ours and files[name].suffix != ".py":
                raise NoSourceError(name, files[name])
            now, later = _names_in(name, files[name], interpreter.standard_library / "encodings")
            wanted |= now if is_ours else set()
            possible |= later if is_ours else now | later
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
    """Where the file goes below the folder of modules: the same as now below the innermost of the folders it lies in."""
    inner = [file.relative_to(folder) for folder in folders if file.is_relative_to(folder)]
    return str(min(inner, key=lambda path: len(path.parts)))
