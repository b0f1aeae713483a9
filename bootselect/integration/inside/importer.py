"""Stands at the place of a package in an initramfs, and finds it and other modules in one file: the bundle beside it.

A bundle is a dictionary, written by marshal: module -> whether it is a package, and its code. With it a boot has one file to find and to
read, not sixty. When this is imported it lets all of the bundle be found and leaves its name to the package itself, which comes out
of the bundle like every other module. What is not in there, extension modules too, is looked for in the folders as ever.
"""

import gc
import sys
from _frozen_importlib import ModuleSpec
from marshal import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType


class Bundle:
    """A finder and loader (PEP 451)."""

    def __init__(self, file: str, modules: "dict[str, tuple[bool, CodeType]]") -> None:
        self._file, self._folder, self._modules = file, file.rpartition("/")[0], modules

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> "ModuleSpec | None":
        """Where it is in the bundle."""
        if name not in self._modules:
            return None
        package = self._modules[name][0]
        spec = ModuleSpec(name, self, origin=self._file, is_package=package)  # type: ignore[arg-type]  # PEP 451 wants no class
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations.append(f"{self._folder}/{name.replace('.', '/')}")
        return spec

    def create_module(self, _spec: ModuleSpec) -> None:
        """A module like any other."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run its code."""
        exec(self._modules[module.__name__][1], vars(module))  # noqa: S102  (as every loader does)


def main(name: str, file: str) -> None:
    """Let what is in the bundle be found, the package of its own name first."""
    # Imports make thousands of objects and no garbage; by default it is looked for after each 700.
    gc.set_threshold(100_000)
    with open(f"{file.rpartition('.')[0]}.bundle", "rb") as bundle:  # noqa: PTH123  (pathlib costs more than the rest)
        sys.meta_path.insert(0, Bundle(file, loads(bundle.read())))  # noqa: S302  (our own, beside our own code)
    del sys.modules[name]
    __import__(name)


if "." not in __name__:  # In its own package it is only a module to look at.
    main(__name__, __file__)
