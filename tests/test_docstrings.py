"""The examples in docstrings run, and the public names are there, documented, and cost nothing where they are not used."""

from __future__ import annotations

import doctest
import subprocess
import sys
from importlib import import_module, metadata
from typing import TYPE_CHECKING

import pytest

import gptlib
from tests.documentation import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = ("gptlib", "bootselect", "update_agent", "image_builder", "qemu_tests")
VERSION = (ROOT / "debian/changelog").read_text().partition("(")[2].partition(")")[0]


def modules_with_examples() -> list[str]:
    files = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    names = [path.relative_to(ROOT).with_suffix("").parts for path in files if ">>> " in path.read_text()]
    return [".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in names]


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_of(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    module = import_module(name)
    result = doctest.testmod(module, optionflags=doctest.FAIL_FAST)
    assert result.failed == 0
    assert result.attempted > 0


def test_the_main_packages_begin_with_an_example() -> None:
    assert {"gptlib", "bootselect", "image_builder"} <= set(modules_with_examples())


def test_dir_shows_the_public_names_and_nothing_else() -> None:
    assert dir(gptlib) == sorted(gptlib.__all__)
    for name in gptlib.__all__:
        assert getattr(gptlib, name) is not None
    assert {"prioritize", "table_findings", "REQUIRED", "LEGACY_BOOT", "Disk", "Table", "__version__"} <= set(
        dir(gptlib)
    )
    with pytest.raises(AttributeError, match="module 'gptlib' has no attribute 'nonsense'"):
        gptlib.nonsense  # noqa: B018


def test_a_public_name_is_never_hidden_by_a_module_of_the_same_name() -> None:
    """Importing ``gptlib.x`` sets the attribute ``x`` of the package, whatever that was before."""
    for name in gptlib.__all__:
        assert not (ROOT / "gptlib" / f"{name}.py").exists()
        assert not (ROOT / "gptlib" / name).exists()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_what_it_is_and_its_version(package: str) -> None:
    module = import_module(package)
    assert module.__version__ == VERSION
    assert len((module.__doc__ or "").split()) > 8
    with pytest.raises(AttributeError, match="nonsense"):
        module.nonsense  # noqa: B018


@pytest.mark.parametrize("package", PACKAGES)
def test_the_version_costs_nothing_until_it_is_asked_for(package: str) -> None:
    program = f"import sys, {package}; print('importlib.metadata' in sys.modules, 'importlib' in sys.modules)"
    argv = [sys.executable, "-I", "-S", "-B", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {program}"]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "False False\n"


def test_the_installation_has_the_same_version() -> None:
    assert metadata.version("slotboot") == VERSION


@pytest.mark.slow
def test_every_public_module_and_name_is_in_the_reference(tmp_path: Path) -> None:
    subprocess.run([ROOT / "script/docs", tmp_path], check=True, capture_output=True)
    page = (tmp_path / "gptlib.html").read_text()
    for name in gptlib.__all__:
        assert f'id="{name}"' in page, name
    # With the methods of the classes.
    assert 'id="Disk.write"' in page
    for module in ("bootselect/verbs", "bootselect/policy", "image_builder/api", "update_agent/slot/install"):
        assert (tmp_path / f"{module}.html").is_file()
    assert not (tmp_path / "bootselect/cli.html").exists()
