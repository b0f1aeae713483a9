"""The interpreter of an initramfs or image, run while that is built: it alone knows what it loads and how it compiles."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.integration import inside
from bootselect.integration.needs import START

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SCRIPTS = Path(inside.__file__).parent
IMPORTER = _SCRIPTS / "importer.py"
"""The module that finds others in a bundle: ``NAME.pyc`` reads ``NAME.bundle`` beside it."""
_COMPILE = ("-I", "-S", "-B", "-X", "no_debug_ranges")
"""Columns are of no use where there is no source to point into, and a fifth of each module."""
_RUN_FILE = "import sys; exec(open(sys.argv.pop(1)).read())"


@dataclass(frozen=True)
class Compilation:
    """One module to compile: ``shown`` is the path in tracebacks, ``level`` the optimization level (0, 1, 2)."""

    source: Path
    target: Path
    shown: str
    level: int


class Interpreter(ABC):
    """A Python. How it is run is up to who builds with it; its methods raise what ``run`` raises."""

    @property
    @abstractmethod
    def standard_library(self) -> Path:
        """Its folder of modules."""

    @abstractmethod
    def run(self, arguments: Sequence[str], stdin: bytes = b"") -> bytes:
        """Run it with these arguments and return its standard output."""

    def loaded_by(
        self,
        required: Iterable[str],
        *,
        optional: Iterable[str] = (),
        folders: Iterable[Path] = (),
        missing: Iterable[str] = (),
    ) -> dict[str, str]:
        """The modules that are loaded after importing these: name -> file, ``built-in``, ``frozen`` or ''.

        ``folders`` of packages come after the standard library; ``missing`` modules seem not to be there.
        """
        lists = [[str(folder) for folder in folders], list(missing), list(required), list(optional)]
        out = self.run([*START, _RUN_FILE, str(_SCRIPTS / "loaded.py"), *("\n".join(items) for items in lists)])
        return dict(line.split("\t", 1) for line in out.decode().splitlines())

    def compile(self, modules: Iterable[Compilation]) -> None:
        """Write the .pyc files; their folders exist. The same source gives the same bytes."""
        work = [[str(module.source), str(module.target), module.shown, module.level] for module in modules]
        self.run([*_COMPILE, str(_SCRIPTS / "compiled.py")], json.dumps(work).encode())

    def bundle(self, target: Path, modules: Mapping[str, Path], shown: str, level: int) -> None:
        """Write a bundle; ``modules``: the path in a folder of modules, as ``gptlib/disk.py`` -> source.

        ``shown`` is that folder in tracebacks. The same sources give the same bytes.
        """
        work = [[*_name(place), str(source), f"{shown}/{place}"] for place, source in sorted(modules.items())]
        self.run([*_COMPILE, str(_SCRIPTS / "bundled.py")], json.dumps([str(target), level, work]).encode())


def _name(place: str) -> tuple[str, bool]:
    """The name of the module in a file, and whether it is a package."""
    path = Path(place).with_suffix("")
    package = path.name == "__init__"
    return ".".join(path.parent.parts if package else path.parts), package
