"""The target's interpreter, run on the building machine through its own dynamic linker and libraries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.integration.interpreter import Interpreter
from image_builder.distribution.elf import linker_of
from image_builder.errors import ClosureError, PackageContentError, ToolFailedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from image_builder.run import Runner


class TargetInterpreter(Interpreter):
    """A Python in a folder that has the shape of a root file system."""

    def __init__(self, runner: Runner, root: Path, program: str, version: str) -> None:
        """``program`` is relative to ``root``. Raises PackageContentError when something is missing."""
        self._runner, self.root, self.version = runner, root, version
        self.program = root / program
        if not self.program.is_file():
            raise PackageContentError(self.program, "there is no interpreter here; expected the target's Python")
        self.linker = linker_of(runner, self.program)

    @property
    def standard_library(self) -> Path:
        """Its folder of modules."""
        return self.root / "usr/lib" / f"python{self.version}"

    @property
    def extensions(self) -> Path:
        """Its folder of extension modules; the interpreter wants it to exist."""
        return self.standard_library / "lib-dynload"

    def library_folders(self) -> list[Path]:
        """Where shared libraries lie: /lib and /usr/lib and their folders for one architecture (multiarch)."""
        tops = [self.root / "usr/lib", self.root / "lib"]
        return [
            folder
            for top in tops
            if top.is_dir()
            for folder in (*sorted(top.glob("*-linux-gnu*")), top)
            if folder.is_dir()
        ]

    def linker_file(self) -> Path:
        """The dynamic linker, found by name: where it is asked for, a package may only have an absolute link to it."""
        name = Path(self.linker).name
        for folder in (*self.library_folders(), (self.root / self.linker[1:]).parent):
            if (folder / name).is_file() and not (folder / name).is_symlink():
                return folder / name
        raise PackageContentError(self.root / self.linker[1:], "the dynamic linker is missing")

    def run(self, arguments: Sequence[str], stdin: bytes = b"") -> bytes:
        """See ``Interpreter``. Raises ToolFailedError."""
        # Relative folders, as a colon in the path of the cache would split the list.
        folders = ":".join(str(folder.relative_to(self.root)) for folder in self.library_folders())
        argv: list[str | Path] = [self.linker_file(), "--library-path", folders, self.program, *arguments]
        return self._runner.run(argv, stdin=stdin, cwd=self.root)

    def loaded_by(
        self,
        required: Iterable[str],
        *,
        optional: Iterable[str] = (),
        folders: Iterable[Path] = (),
        missing: Iterable[str] = (),
    ) -> dict[str, str]:
        """See ``Interpreter``. Raises ClosureError when a required module cannot be imported."""
        required = list(required)
        try:
            return super().loaded_by(required, optional=optional, folders=folders, missing=missing)
        except ToolFailedError as error:
            raise ClosureError(required, error.last_line) from error
