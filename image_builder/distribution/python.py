"""The target's Python with the modules that our programs import, ready to be copied into an image.

The modules are those that the target's own interpreter loads when it imports the programs, and the ones that our functions
import when they run. They are shipped compiled, without source: importing sources costs nine times as much.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.integration.closure import import_closure
from bootselect.integration.interpreter import IMPORTER, Compilation
from bootselect.integration.needs import ENTRY_POINTS, EVERY_BOOT, KEXEC, NOT_SHIPPED, OPTIMIZATION, PACKAGES
from image_builder.cache import Cache, working_folder
from image_builder.distribution.elf import library_closure
from image_builder.distribution.interpreter import TargetInterpreter
from image_builder.distribution.sources import builder_digest, copy_files, digest_of, our_files
from image_builder.errors import PackageContentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from image_builder.distribution.packages import TargetPackages
    from image_builder.run import Runner

_PROGRAM = "usr/bin/python3"


@dataclass(frozen=True)
class PythonTree:
    """An interpreter with its modules and libraries, in a folder of the cache that has the shape of a root: read it only.

    ``/usr/bin/python3 -I -S -B`` finds all modules in /usr/lib/python3.x. ``modules`` are the names of those that were loaded
    to find out; ``identity`` changes whenever the content does.
    """

    root: Path
    modules: tuple[str, ...]
    identity: str


@dataclass(frozen=True)
class _Recipe:
    name: str
    ours: tuple[str, ...]
    """Packages of ours."""
    entries: tuple[str, ...]
    """Modules to start from."""
    third_party: tuple[str, ...]
    level: int
    """Optimization: 2 drops docstrings, which the command lines need for their help."""
    without: tuple[str, ...] = ()
    """Modules that ours can do without, as ``import_closure`` takes them."""
    whole: tuple[str, ...] = ()
    """Packages of ours that are there with everything in them, and so are the minimal standard library and ``third_party``."""
    bundle: tuple[str, ...] = ()
    """Modules that are put into one file, with what they import; its importer stands at the place of the first of ``ours``."""


_BOOT = _Recipe("boot", PACKAGES, ENTRY_POINTS, (), OPTIMIZATION, KEXEC, bundle=EVERY_BOOT)
_BOOT_KEXEC = replace(_BOOT, name="boot-kexec", without=())
_SLOT = _Recipe(
    "slot",
    (*PACKAGES, "update_agent"),
    ("update_agent.entry",),
    ("click", "construct", "crcmod"),
    0,
    # Debian 12 has neither tuf 7 nor zstd's module: the slot installs from media, and says so where it is asked for more.
    without=(
        "update_agent.agent.online",
        "update_agent.publish",
        "update_agent.agent.metrics",
        "update_agent.cli.bars",
        "update_agent.lock.open",
        "yaml",
    ),
    whole=PACKAGES,
)


def boot_python(runner: Runner, packages: TargetPackages, cache: Cache | Path, *, kexec: bool = True) -> PythonTree:
    """For the initramfs: what the selector and the rescue shell's ``bootselect`` import, and no more.

    What every boot imports is one file, the rest are files as usual. Without ``kexec`` the selector does a switch_root whatever
    its settings say, and says so. Raises ClosureError, LibraryError, PackageContentError, and what ``TargetPackages.packages`` raises.
    """
    return _python(runner, packages, cache, _BOOT_KEXEC if kexec else _BOOT)


def slot_python(runner: Runner, packages: TargetPackages, cache: Cache | Path) -> PythonTree:
    """For a slot: bootselect, gptlib, click, construct, crcmod and the minimal standard library, each whole, and ``updatectl`` for media.

    What else they import comes along. Errors as ``boot_python``.
    """
    return _python(runner, packages, cache, _SLOT)


def _python(runner: Runner, packages: TargetPackages, cache: Cache | Path, recipe: _Recipe) -> PythonTree:
    version = packages.python_version()
    names = [
        *(f"python{version}-minimal", f"libpython{version}-minimal", f"libpython{version}-stdlib"),
        *("libc6", "zlib1g", "libexpat1", "libffi8", "python3-crcmod", "python3-construct", "python3-click"),
    ]
    cache = Cache.of(cache, packages.progress)
    cache.root.mkdir(parents=True, exist_ok=True)
    place = _place(recipe, our_files(recipe.ours), packages, names)
    if not cache.intact(place):
        place = _make(runner, packages, cache, recipe, names)
    folder = cache.root / place
    return PythonTree(
        folder / "root", tuple(json.loads((folder / "modules.json").read_text())), place.name.rpartition("-")[2]
    )


def _place(recipe: _Recipe, ours: Mapping[str, Path], packages: TargetPackages, names: Sequence[str]) -> Path:
    """Where the tree of these files of ours and of these packages is in the cache."""
    return Path(
        "python", f"{recipe.name}-{digest_of(ours, builder_digest(), recipe.name, *packages.identities(names))}"
    )


def _make(runner: Runner, packages: TargetPackages, cache: Cache, recipe: _Recipe, names: Sequence[str]) -> Path:
    """Make the tree, and say where in the cache it is."""
    with working_folder(cache.root) as staging:
        # What is hashed is what is compiled, even when somebody is editing the originals.
        ours = copy_files(our_files(recipe.ours), staging)
        packages.packages(names)  # a package that is damaged is fetched again, and may be a newer one then
        version = packages.python_version()

        def fill(folder: Path) -> None:
            interpreter = TargetInterpreter(runner, packages.tree(names), f"usr/bin/python{version}", version)
            minimal = packages.package(f"libpython{version}-minimal").root
            loaded, files = _modules(interpreter, recipe, staging, minimal)
            bundled = _bundled(interpreter, recipe, staging, files)
            _assemble(runner, interpreter, recipe, files, bundled, folder / "root")
            _try(TargetInterpreter(runner, folder / "root", _PROGRAM, version), [recipe.ours[0], *loaded])
            (folder / "modules.json").write_text(json.dumps(loaded))

        place = _place(recipe, ours, packages, names)
        cache.publish_folder(place, fill)
        return place


def _modules(
    interpreter: TargetInterpreter, recipe: _Recipe, ours: Path, minimal: Path
) -> tuple[tuple[str, ...], dict[str, Path]]:
    """The names of the modules that are loaded, and all files that go into the folder of modules."""
    foreign = _foreign(interpreter)
    files: dict[str, Path] = {}
    if recipe.whole:
        files = _files_below(minimal / interpreter.standard_library.relative_to(interpreter.root), "*.py")
        for package in recipe.third_party:
            files |= {f"{package}/{name}": file for name, file in _files_below(foreign / package, "*").items()}
        files |= {name: file for name, file in _files_below(ours, "*").items() if name.startswith(_below(recipe.whole))}
    whole = sorted(_module_name(name) for name in _files_below(ours, "*.py") if name.startswith(_below(recipe.whole)))
    entries = (*recipe.entries, *(whole if recipe.whole else ()))
    closure = import_closure(
        interpreter,
        entries,
        ours=recipe.ours,
        folders=[ours, foreign],
        optional=recipe.third_party,
        without=recipe.without,
    )
    return closure.loaded, {**files, **closure.files}


def _bundled(interpreter: TargetInterpreter, recipe: _Recipe, ours: Path, files: Mapping[str, Path]) -> frozenset[str]:
    """Those of the files that go into a bundle: what the interpreter loads for the recipe's modules, but not for itself."""
    if not recipe.bundle:
        return frozenset()
    folders = [ours, _foreign(interpreter)]
    itself = interpreter.loaded_by([])
    loaded = interpreter.loaded_by(recipe.bundle, folders=folders, missing=NOT_SHIPPED)
    wanted = {Path(origin) for name, origin in loaded.items() if name not in itself and origin.endswith(".py")}
    return frozenset(place for place, file in files.items() if file in wanted)


def _foreign(interpreter: TargetInterpreter) -> Path:
    return interpreter.root / "usr/lib/python3/dist-packages"


def _files_below(folder: Path, pattern: str) -> dict[str, Path]:
    found = {str(file.relative_to(folder)): file for file in sorted(folder.rglob(pattern)) if file.is_file()}
    if not found:
        raise PackageContentError(folder, "there are no modules here")
    return found


def _below(packages: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}/" for name in packages)


def _module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _assemble(
    runner: Runner,
    interpreter: TargetInterpreter,
    recipe: _Recipe,
    modules: Mapping[str, Path],
    bundled: frozenset[str],
    root: Path,
) -> None:
    library = root / interpreter.standard_library.relative_to(interpreter.root)
    shown = f"/{library.relative_to(root)}"
    (library / interpreter.extensions.name).mkdir(parents=True)
    copy_files({name: file for name, file in modules.items() if file.suffix != ".py"}, library)
    sources = {name: file for name, file in modules.items() if file.suffix == ".py" and name not in bundled}
    if bundled:
        name = recipe.ours[0]
        sources[f"{name}.py"] = IMPORTER
        interpreter.bundle(library / f"{name}.bundle", {name: modules[name] for name in bundled}, shown, recipe.level)
    compilations = [
        Compilation(file, library / f"{name}c", f"{shown}/{name}", recipe.level)
        for name, file in sorted(sources.items())
    ]
    for folder in {compilation.target.parent for compilation in compilations}:
        folder.mkdir(parents=True, exist_ok=True)
    interpreter.compile(compilations)
    programs = {_PROGRAM: interpreter.program, interpreter.linker[1:]: interpreter.linker_file()}
    copy_files(programs, root)
    extensions = [file for file in modules.values() if file.suffix == ".so"]
    libraries = library_closure(runner, [interpreter.program, *extensions], interpreter.library_folders())
    linker = Path(interpreter.linker).name
    copy_files({_library_place(file): file for file in libraries if file.name != linker}, root)
    for path in root.rglob("*"):
        runs = path.is_dir() or str(path.relative_to(root)) in programs
        path.chmod(0o755 if runs else 0o644)  # whatever the umask is


def _library_place(file: Path) -> str:
    folder = file.parent.name
    return f"usr/lib/{folder}/{file.name}" if "-linux-" in folder else f"usr/lib/{file.name}"


def _try(interpreter: TargetInterpreter, modules: Sequence[str]) -> None:
    """Import all of it once more, now from the finished tree alone."""
    loaded = interpreter.loaded_by(modules, missing=NOT_SHIPPED)
    for name, origin in loaded.items():
        if Path(origin).is_absolute() and not Path(origin).is_relative_to(interpreter.root):
            raise PackageContentError(Path(origin), f"module {name} was loaded from outside the image's Python")
