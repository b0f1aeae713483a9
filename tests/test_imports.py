"""The direction of the imports, and what the boot path loads."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import crcmod
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import SlotImage

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
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
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


def test_gptctl_is_started_by_a_script_that_imports_nothing_else(slot_image: Callable[..., SlotImage]) -> None:
    """What pip writes for an entry point imports ``re``, which takes as long as all the rest of ``gptctl show``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (script,) = project["tool"]["setuptools"]["script-files"]
    assert "gptctl" not in project["project"]["scripts"]
    text = (ROOT / script).read_text()
    # The first line is what pip puts its interpreter in the place of.
    assert text.startswith("#!python\n")
    search_path = [str(ROOT), str(Path(crcmod.__path__[0]).parent)]
    program = f"import sys; sys.path[:0] = {search_path!r}\n{text}"
    words = [
        sys.executable,
        "-I",
        "-S",
        "-B",
        "-X",
        "importtime",
        "-c",
        program,
        "show",
        str(slot_image((1, 0, 1)).path),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert 'Label: "USR-A"' in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "gptlib.cli.show" in imported
    assert not imported & TOO_EXPENSIVE


@pytest.mark.parametrize("module", BOOT_PATH)
def test_the_boot_path_loads_only_the_standard_library_crcmod_and_our_core(module: str) -> None:
    packages = {name.partition(".")[0] for name in loaded_by(module)}
    foreign = packages - set(sys.stdlib_module_names) - {"gptlib", "bootselect", "crcmod"}
    assert not foreign
    assert not packages & TOO_EXPENSIVE


def test_an_ordinary_boot_loads_nothing_that_it_does_not_need() -> None:
    loaded = loaded_by("bootselect.initramfs.selector")
    names = ("find", "uevents", "filesystems", "kexec", "verity", "watchdog", "rescue")
    assert not loaded & {"_socket", "bootselect.verbs", *(f"bootselect.initramfs.{name}" for name in names)}
    assert len(loaded) <= 58
