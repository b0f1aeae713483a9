"""Puts the selector into an initramfs that another tool builds: ``python3 -m bootselect.integration.stage DESTDIR``.

Run by the interpreter that will run in the initramfs. Compiles everything that the selector really imports into
``DESTDIR/usr/lib/python3.X``, where ``python3 -I -S -B`` finds it, and prints the programs and shared objects that the calling
hook has to copy with the libraries they need: one a line, the source and, after a tab, the place in the initramfs.
"""

from __future__ import annotations

import ast
import json
import os
import py_compile
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

ENTRY_POINTS = ("bootselect.initramfs.selector", "bootselect.initramfs.rescue")
ENCODINGS = (
    "encodings",
    "encodings.aliases",
    "encodings.utf_8",
    "encodings.ascii",
    "encodings.utf_16_le",
    "encodings.latin_1",
)
LANDMARK = "os"
"""The interpreter finds its library by this module."""
CONF = Path("/etc/bootselect/boot.conf")
_PACKAGES = ("bootselect", "gptlib", "crcmod")


def needed_modules(python: str = sys.executable) -> dict[str, Path]:
    """The modules that the selector imports when it runs alone, with their files; built-in ones have none.

    Those that functions of ours import only when they are called are among them: for kexec, sealed slots, a grown disk.
    """
    wanted = {*ENTRY_POINTS, *ENCODINGS, LANDMARK}
    while True:
        modules = _loaded_by(sorted(wanted), python)
        ours = [file for name, file in modules.items() if name.partition(".")[0] in _PACKAGES and file.suffix == ".py"]
        later = {name for file in ours for name in imported_later(file)} - wanted
        if not later:
            return modules
        wanted |= later


def imported_later(file: Path) -> set[str]:
    """The modules that functions in ``file`` import when they are called."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    found: set[str] = set()
    for node in {node for function in functions for node in ast.walk(function)}:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            # What is imported from a package may be one of its modules.
            found.update(name for alias in node.names if _is_module(name := f"{node.module}.{alias.name}"))
    return found


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _loaded_by(names: Sequence[str], python: str) -> dict[str, Path]:
    folders = sorted({str(Path(_origin(package)).parent.parent) for package in _PACKAGES})
    program = (
        f"import sys; sys.path[:0] = {folders!r}\n"
        f"for name in {names!r}: __import__(name)\n"
        # os.path is another name of posixpath; frozen modules are part of the interpreter.
        "own = {name: module.__spec__ for name, module in sys.modules.items() if module.__spec__}\n"
        f"own = {{n: spec for n, spec in own.items() if spec.name == n and (spec.origin != 'frozen' or n == {LANDMARK!r})}}\n"
        "found = {name: getattr(sys.modules[name], '__file__', None) for name in own}\n"
        # What the report itself needs is imported after the list was made.
        "import json; json.dump({name: file for name, file in found.items() if file}, sys.stdout)"
    )
    done = subprocess.run([python, "-I", "-S", "-B", "-c", program], capture_output=True, text=True, check=True)
    return {name: Path(file) for name, file in json.loads(done.stdout).items()}


def _origin(package: str) -> str:
    module = __import__(package)
    if module.__file__ is None:
        raise ImportError(f"{package} has no file")
    return module.__file__


def stage(destination: Path, python: str = sys.executable) -> list[tuple[Path, Path]]:
    """Fill ``destination``; the programs and shared objects that are left for the hook, with their places."""
    library = Path("usr/lib") / f"python{sys.version_info.major}.{sys.version_info.minor}"
    left = [(Path(os.path.realpath(python)), Path("usr/bin/python3"))]
    for name, file in sorted(needed_modules(python).items()):
        place = library / Path(*name.split("."))
        if file.suffix != ".py":
            # Extensions of the standard library live in lib-dynload, which is on the path of the interpreter.
            where = library / "lib-dynload" / file.name if "lib-dynload" in file.parts else place.parent / file.name
            left.append((file, where))
            continue
        if file.name == "__init__.py":
            place /= "__init__"
        target = destination / place.with_suffix(".pyc")
        target.parent.mkdir(parents=True, exist_ok=True)
        py_compile.compile(
            str(file),
            cfile=str(target),
            dfile=str(place.with_suffix(".py")),
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    (destination / library / "lib-dynload").mkdir(parents=True, exist_ok=True)
    if CONF.exists():
        target = destination / CONF.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(CONF.read_bytes())
    return left


def main() -> None:
    """Entry point."""
    if len(sys.argv) != 2:
        sys.exit("usage: python3 -m bootselect.integration.stage DESTDIR")
    for source, place in stage(Path(sys.argv[1])):
        sys.stdout.write(f"{source}\t/{place}\n")


if __name__ == "__main__":
    main()
