"""Prints which modules are loaded after importing some: a line "name<TAB>origin" each.

The origin is a file, ``built-in``, ``frozen`` or nothing. Four arguments, each a list with an item a line: folders to put behind
sys.path; modules to be taken for missing; modules that must be importable; names that may be modules. Nothing is
imported that is not asked for.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class Recorder:
    """A finder that notes where each module is found: one may put another in its place, as collections.abc does."""

    def __init__(self) -> None:
        self.origins: dict[str, str] = {}
        self._finders = list(sys.meta_path)

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None, /
    ) -> "ModuleSpec | None":
        """What the other finders say."""
        for finder in self._finders:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                self.origins[name] = spec.origin or ""
                return spec
        return None


def main() -> None:
    """Entry point."""
    recorder = Recorder()
    sys.meta_path.insert(0, recorder)
    folders, missing, required, optional = (argument.split("\n") if argument else [] for argument in sys.argv[1:5])
    # Behind: nothing that lies beside our packages may take the place of the standard library.
    sys.path += folders
    # None makes an import raise ModuleNotFoundError.
    vars(sys)["modules"].update(dict.fromkeys(missing))
    for name in required:
        __import__(name)
    for name in optional:
        package, _, last = name.rpartition(".")
        try:
            # As "from package import last" does: last may be a module, or what __getattr__ of the package imports.
            __import__(package or last, fromlist=[last] if package else [])
        except Exception:  # noqa: BLE001, S112  # a module for another system fails in ways of its own
            continue
    for name, module in sys.modules.items():
        if module is not None and name != "__main__":
            origin = recorder.origins.get(name) or getattr(getattr(module, "__spec__", None), "origin", None)
            sys.stdout.write(f"{name}\t{origin or ''}\n")


if __name__ == "__main__":
    main()
