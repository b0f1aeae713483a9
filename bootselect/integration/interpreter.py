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
    from collections.abc import Iterable, Sequence

_SCRIPTS = Path(inside.__file__).parent
_RUN_FILE = "import sys; exec(open(sys.argv.pop(1)).read())"


@dataclass(frozen=True)
class Compilation:
    """One module to compile: ``shown`` is the path in tracebacks, ``level`` the optimization level (0, 1, 2)."""

    source: Path
    target: Path
    shown: str
    level: int


class Interpreter(ABC):
    """A Python. How it is run is up to who builds with it; both methods raise what ``run`` raises."""

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
        self.run(["-I", "-S", "-B", str(_SCRIPTS / "compiled.py")], json.dumps(work).encode())
