"""Modules in a bundle are found, and what is not in it is looked for as ever."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bootselect.integration.interpreter import IMPORTER, Compilation
from bootselect.integration.stage import ThisInterpreter

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = {
    "pack/__init__.py": "name = __name__\n",
    "pack/inner/__init__.py": "",
    "pack/inner/deep.py": "from pack import name\ndef fail():\n    raise RuntimeError(name)\n",
    "other/__init__.py": "from other.part import value\n",
    "other/part.py": "value = 7\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a bundle of all of these, and one module of a package beside it."""
    sources, library = tmp_path / "sources", tmp_path / "library"
    for name, text in SOURCES.items():
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        (sources / name).write_text(text)
    (library / "pack").mkdir(parents=True)
    (library / "pack/seldom.py").write_text("from pack.inner import deep\n")
    interpreter = ThisInterpreter()
    interpreter.bundle(library / "pack.bundle", {name: sources / name for name in SOURCES}, "/shown", 2)
    interpreter.compile([Compilation(IMPORTER, library / "pack.pyc", "/shown/pack.py", 2)])
    return library


def run(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    text = f"import sys; sys.path.insert(0, {str(folder)!r})\n{program}"
    return subprocess.run([sys.executable, "-I", "-S", "-B", "-c", text], capture_output=True, text=True, check=False)


def said(folder: Path, program: str) -> str:
    done = run(folder, program)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_a_module_of_the_bundle_is_imported_with_the_packages_above_it(folder: Path) -> None:
    assert said(
        folder, "import pack.inner.deep; print(pack.inner.deep.name, sorted(m for m in sys.modules if 'pack' in m))"
    ) == ("pack ['pack', 'pack.inner', 'pack.inner.deep']")


def test_the_package_that_gave_its_name_is_itself_and_not_the_importer(folder: Path) -> None:
    assert said(folder, "import pack; print(sorted(n for n in vars(pack) if not n.startswith('__')))") == "['name']"


def test_another_package_of_the_bundle_is_found_once_the_first_is_imported(folder: Path) -> None:
    assert said(folder, "import pack, other; print(other.value)") == "7"
    assert "No module named 'other'" in run(folder, "import other").stderr


def test_what_is_not_in_the_bundle_is_looked_for_in_the_folder_of_its_package(folder: Path) -> None:
    assert (
        said(folder, "from pack import seldom; print(seldom.deep.name, seldom.__file__)")
        == f"pack {folder}/pack/seldom.py"
    )


def test_what_is_nowhere_is_an_import_error_that_can_be_caught(folder: Path) -> None:
    assert (
        said(folder, "try:\n    from pack.inner import gone\nexcept ImportError as e:\n    print(e.name)")
        == "pack.inner"
    )


def test_a_traceback_names_file_and_line_of_the_source(folder: Path) -> None:
    assert (
        'File "/shown/pack/inner/deep.py", line 3, in fail'
        in run(folder, "from pack.inner import deep; deep.fail()").stderr
    )


def test_the_same_sources_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    modules = {name: tmp_path / "sources" / name for name in reversed(SOURCES)}
    ThisInterpreter().bundle(again, modules, "/shown", 2)
    assert again.read_bytes() == (folder / "pack.bundle").read_bytes()
