"""The direction of the imports, and what the boot path loads."""

from __future__ import annotations

import ast
import json
import shutil
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


@pytest.mark.parametrize("called", ["bin/gptctl", "link"])
def test_gptctl_finds_its_interpreter_where_the_path_is_no_shebang(tmp_path: Path, called: str) -> None:
    """pip would write ``#!/a path/python3`` into a script that it installs there, which no kernel starts."""
    programs = tmp_path / "my programs" / "bin"
    programs.mkdir(parents=True)
    shutil.copy(ROOT / "bin/gptctl", programs / "gptctl")
    interpreter = programs / "python3"
    interpreter.write_text(f'#!/bin/sh\necho beside\nexec "{sys.executable}" "$@"\n')
    interpreter.chmod(0o755)
    (programs.parent / "link").symlink_to(programs / "gptctl")
    done = subprocess.run([programs.parent / called, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("beside\ngptctl (slotboot) ")


def test_gptctl_is_started_by_a_script_that_imports_nothing_else(slot_image: Callable[..., SlotImage]) -> None:
    """What pip writes for an entry point imports ``re``, which takes as long as all the rest of ``gptctl show``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (script,) = project["tool"]["setuptools"]["script-files"]
    assert "gptctl" not in project["project"]["scripts"]
    text = (ROOT / script).read_text()
    assert text.startswith("#!/bin/sh\n")
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
    # The places of a table, the rule where it may be written, and the nodes of partitions are three of them; the rooms of gptlib
    # are four. A boot also counts the try: what writes a table is loaded then.
    assert len(loaded) <= 60
    assert len(loaded_by("bootselect.initramfs.selector, gptlib.write.table")) <= 65


def test_reading_a_table_loads_nothing_that_writes_one() -> None:
    loaded = loaded_by("gptlib.cli.show")
    assert "gptlib.disk" in loaded
    assert not {name for name in loaded if name.startswith("gptlib.write") or name == "gptlib.linux.kernel"}


def test_the_installer_stands_on_nothing_of_the_initramfs() -> None:
    for path in sorted((ROOT / "update_agent").rglob("*.py")):
        assert "bootselect.initramfs" not in path.read_text(), path
