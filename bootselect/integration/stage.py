"""Puts the selector into an initramfs that another tool builds: ``python3 -m bootselect.integration.stage DESTDIR``.

Run by the interpreter that will run in the initramfs. Compiles everything that the selector may import into
``DESTDIR/usr/lib/python3.X``, where ``python3 -I -S -B`` finds it, and prints the programs and shared objects that the calling
hook has to copy with the libraries they need: one a line, the source and, after a tab, the place in the initramfs.

With ``--kernel-modules`` instead of a folder it prints the kernel modules that the hook has to add: ``required`` or ``optional``
and, after a tab, the name as modprobe takes it.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.errors import BootselectError
from bootselect.formats.filesystem import FILE_SYSTEMS
from bootselect.initramfs import config
from bootselect.integration.closure import import_closure
from bootselect.integration.interpreter import Compilation, Interpreter
from bootselect.integration.needs import (
    ENTRY_POINTS,
    FIRMWARE_VARIABLES,
    OPTIMIZATION,
    PACKAGES,
    START,
    VERITY,
    WATCHDOGS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bootselect.integration.closure import Closure

OLDEST_PYTHON = (3, 11)
BOOT_CONF = Path(config.BOOT_CONF)
_CRCMOD = "crcmod"
_PYTHON, _RESCUE = Path("usr/bin/python3"), Path("usr/bin/bootselect")
_RESCUE_SCRIPT = f"""\
#!/bin/sh
exec /usr/bin/python3 {" ".join(START)} 'from bootselect.initramfs.rescue import main; main()' "$@"
"""


class NotInstalledError(BootselectError):
    """A package that the selector needs is not there for this interpreter. Nothing was written."""

    def __init__(self, package: str, found: str) -> None:
        how = "apt-get install python3-crcmod, or pip install crcmod" if package == _CRCMOD else "install slotboot"
        super().__init__(f"{package}: {found}; {sys.executable} needs it as files in a folder ({how})")
        self.package = package


class InterpreterError(BootselectError):
    """The interpreter cannot import or compile what it is to run. Nothing was written."""

    def __init__(self, python: str, detail: str) -> None:
        super().__init__(f"{python}: it cannot load the selector: {detail}")
        self.python = python


class SettingsError(BootselectError):
    """The settings cannot be read. Nothing was written."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path}: {error.strerror}; expected the settings of the selector, or no such file")
        self.path = path


class DestinationError(BootselectError):
    """The folder cannot be filled. Part of it may have been: no initramfs must be made of it."""

    def __init__(self, destination: Path, error: OSError) -> None:
        where = error.filename2 or error.filename or destination
        super().__init__(f"{where}: {error.strerror}; expected a folder that can be written ({destination})")
        self.destination = destination


class ThisInterpreter(Interpreter):
    """The interpreter that runs this program."""

    @property
    def standard_library(self) -> Path:
        """See ``Interpreter``."""
        return Path(sysconfig.get_path("stdlib"))

    def run(self, arguments: Sequence[str], stdin: bytes = b"") -> bytes:
        """See ``Interpreter``. Raises InterpreterError."""
        # An initramfs has no locale: the codec of this machine's must not be taken for one that is needed.
        environment = {**os.environ, "LC_ALL": "C"}
        done = subprocess.run(
            [sys.executable, *arguments], input=stdin, env=environment, capture_output=True, check=False
        )
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise InterpreterError(sys.executable, said[-1] if said else f"it ended with {done.returncode}")
        return done.stdout


def boot_closure() -> Closure:
    """What this interpreter may import for the entry points. Raises NotInstalledError, NoSourceError, InterpreterError."""
    folders = list(dict.fromkeys(_folder_of(package) for package in (*PACKAGES, _CRCMOD)))
    return import_closure(ThisInterpreter(), ENTRY_POINTS, ours=PACKAGES, folders=folders)


def stage(destination: Path, conf: Path = BOOT_CONF) -> list[tuple[Path, Path]]:
    """Fill ``destination``; the programs and shared objects that are left for the hook, with their places below it.

    Everything but the folder itself is tried before anything is written. Raises NotInstalledError, NoSourceError,
    InterpreterError, SettingsError and DestinationError.
    """
    interpreter = ThisInterpreter()
    library = Path("usr") / interpreter.standard_library.relative_to(sys.base_prefix)
    closure, settings = boot_closure(), _read_settings(conf)
    with tempfile.TemporaryDirectory(prefix="bootselect-") as made:
        tree = Path(made)
        _compile(interpreter, closure, tree, library)
        _write(tree / _RESCUE, _RESCUE_SCRIPT.encode())
        (tree / _RESCUE).chmod(0o755)
        if settings is not None:
            _write(tree / BOOT_CONF.relative_to("/"), settings)
        try:
            _copy(tree, destination)
        except OSError as error:
            raise DestinationError(destination, error) from error
    shared = [(file, library / place) for place, file in closure.files.items() if file.suffix != ".py"]
    return [(Path(os.path.realpath(sys.executable)), _PYTHON), *sorted(shared)]


def kernel_modules(conf: Path = BOOT_CONF) -> tuple[list[str], list[str]]:
    """The kernel modules without which no slot can be booted under these settings, and those that other settings need.

    The latter because the kernel's command line overrides the settings. Where no file system is named, a slot with any of those
    that are known may come. ``=drivers/watchdog`` stands for a folder of modules, as in dracut. Raises SettingsError.
    """
    from bootselect.initramfs.config import AUTO, OFF, parse_config

    config = parse_config((_read_settings(conf) or b"").decode("utf-8", "replace"), "")
    slots = FILE_SYSTEMS if config.fstype == AUTO else (config.fstype,)
    required = [*slots, *(() if config.verity == OFF else VERITY)]
    optional = (*FILE_SYSTEMS, *FIRMWARE_VARIABLES, *VERITY, *(WATCHDOGS if config.watchdog else ()))
    return required, [name for name in optional if name not in required]


def _folder_of(package: str) -> Path:
    """The folder in which a package lies."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise NotInstalledError(package, "there is no such module")
    if not Path(spec.origin).is_file():
        raise NotInstalledError(package, f"{spec.origin} is not a file")
    return Path(spec.origin).parent.parent


def _read_settings(conf: Path) -> bytes | None:
    try:
        return conf.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(conf, error) from error


def _compile(interpreter: Interpreter, closure: Closure, tree: Path, library: Path) -> None:
    # The interpreter looks for this folder, too, even where nothing is in it.
    (tree / library / "lib-dynload").mkdir(parents=True)
    compilations = [
        Compilation(file, tree / library / f"{place}c", f"/{library / place}", OPTIMIZATION)
        for place, file in sorted(closure.files.items())
        if file.suffix == ".py"
    ]
    for compilation in compilations:
        compilation.target.parent.mkdir(parents=True, exist_ok=True)
    interpreter.compile(compilations)


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def _copy(tree: Path, destination: Path) -> None:
    """Folders that are there already keep their modes, and links to folders stay links."""
    destination.mkdir(parents=True, exist_ok=True)
    for path in sorted(tree.rglob("*")):
        target = destination / path.relative_to(tree)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            shutil.copyfile(path, target)
            target.chmod(0o755 if os.access(path, os.X_OK) else 0o644)


def _report(arguments: argparse.Namespace) -> Iterator[str]:
    if arguments.kernel_modules:
        required, optional = kernel_modules()
        yield from (f"required\t{name}" for name in required)
        yield from (f"optional\t{name}" for name in optional)
    else:
        yield from (f"{source}\t/{place}" for source, place in stage(arguments.destination))


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python3 -m bootselect.integration.stage",
        description="Put the selector into an initramfs, for the interpreter that runs this.",
        epilog="Exit codes: 0 done; 1 refused or failed; 2 usage.",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "destination",
        nargs="?",
        type=Path,
        metavar="DESTDIR",
        help="root of the initramfs; what the caller has to copy there, with its libraries, is printed: SOURCE<TAB>PLACE",
    )
    what.add_argument(
        "--kernel-modules",
        action="store_true",
        help="print the kernel modules that the caller has to add: required or optional<TAB>NAME",
    )
    arguments = parser.parse_args()
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(f"{parser.prog}: {sys.executable}: this is Python {sys.version.split()[0]}; expected 3.11 or newer")
    try:
        sys.stdout.write("".join(f"{line}\n" for line in _report(arguments)))
    except BootselectError as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
