"""Prints which modules are loaded after importing some: a line "name<TAB>origin" each.

The origin is a file, ``built-in``, ``frozen`` or nothing. Four arguments, each a list with an item a line: folders to put before
sys.path; modules that shall seem to be missing; modules that must be importable; names that may be modules. Nothing is
imported that is not asked for.
"""

import sys

folders, missing, required, optional = (argument.split("\n") if argument else [] for argument in sys.argv[1:5])
sys.path[:0] = folders
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
        origin = getattr(getattr(module, "__spec__", None), "origin", None)
        sys.stdout.write(f"{name}\t{origin or ''}\n")
