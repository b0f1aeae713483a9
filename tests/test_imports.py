"""The direction of the imports, and what the boot path loads."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import crcmod
import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "gptlib": set(),
    "bootselect": {"gptlib"},
    "update_agent": {"gptlib", "bootselect"},
    "image_builder": {"gptlib", "bootselect"},
    "qemu_tests": {"gptlib", "bootselect", "update_agent", "image_builder"},
}
BOOT_PATH = ["gptlib.disk", "bootselect.initramfs.selector"]
TOO_EXPENSIVE = {
    "typing",
    "dataclasses",
    "enum",
    "re",
    "pathlib",
    "collections",
    "subprocess",
    "json",
    "logging",
    "uuid",
}
"""Standard-library modules of which each costs more to import than the whole selection costs to run."""


def imported_packages(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_dependencies_point_one_way(package: str) -> None:
    ours = set(MAY_IMPORT)
    for path in sorted((ROOT / package).rglob("*.py")):
        wrong = imported_packages(path) & ours - MAY_IMPORT[package] - {package}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def loaded_by(module: str) -> set[str]:
    """Modules that an isolated interpreter has loaded after importing ``module``, above those it starts with."""
    search_path = [str(ROOT), str(Path(crcmod.__path__[0]).parent)]
    program = (
        "import sys; before = set(sys.modules); "
        f"sys.path[:0] = {search_path!r}; import {module}; after = set(sys.modules) - before; "
        "import json; print(json.dumps(sorted(after)))"
    )
    out = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, check=True)
    return set(json.loads(out.stdout))


@pytest.mark.parametrize("module", BOOT_PATH)
def test_the_boot_path_loads_only_the_standard_library_crcmod_and_our_core(module: str) -> None:
    packages = {name.partition(".")[0] for name in loaded_by(module)}
    foreign = packages - set(sys.stdlib_module_names) - {"gptlib", "bootselect", "crcmod"}
    assert not foreign
    assert not packages & TOO_EXPENSIVE


def test_the_installer_stands_on_nothing_of_the_initramfs() -> None:
    for path in sorted((ROOT / "update_agent").rglob("*.py")):
        assert "bootselect.initramfs" not in path.read_text(), path
