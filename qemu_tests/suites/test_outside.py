"""A project outside of the checkout tests images that are not ours, with the wheel, as docs/testing-your-image.md shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

import qemu_tests
from tests.documentation import ROOT, blocks, steps, table
from tests.test_package import tracked

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

PAGE = ROOT / "docs/testing-your-image.md"
PROJECT = ROOT / "examples/testing"
SECONDS = 1800.0
WATCHER = """
import sys
from pathlib import Path


def pytest_sessionfinish():
    files = {str(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
    with (Path(__file__).parent / "imported").open("a") as file:
        file.write("".join(f"{name}\\n" for name in files))
"""
"""A plugin that tells which files were imported, by each worker."""


def copied(source: Path, target: Path) -> None:
    """Those files of a folder of the checkout that git knows."""
    for name in tracked():
        if (ROOT / name).is_relative_to(source):
            path = target / (ROOT / name).relative_to(source)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, path)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that has what the page begins with, and nothing else: the wheel and the example."""
    copied(ROOT, tmp_path / "source")
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", f"--wheel-dir={tmp_path}/place/dist"]
    subprocess.run([sys.executable, "-m", "pip", *words, str(tmp_path / "source")], check=True, capture_output=True)
    copied(PROJECT, tmp_path / "place/examples/testing")
    return tmp_path / "place"


@pytest.mark.vm
def test_the_page_leads_from_pip_to_green_tests_of_three_foreign_images(place: Path, tmp_path: Path) -> None:
    watcher = tmp_path / "watcher"
    watcher.mkdir()
    (watcher / "watch_imports.py").write_text(WATCHER)
    kept = {name: value for name, value in os.environ.items() if not re.match("PYTEST_|PYTHON|VIRTUAL_ENV", name)}
    environment = {
        **kept,
        "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "PYTHONPATH": str(watcher),
        "PYTEST_PLUGINS": "watch_imports",
        "PYTEST_ADDOPTS": f"--junitxml={tmp_path / 'junit.xml'}",
    }
    for step in steps(PAGE):
        done = subprocess.run(
            ["sh", "-c", step.command],
            cwd=place,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{step}\n{done.stdout}\n{done.stderr}"

    cases = list(ET.parse(tmp_path / "junit.xml").iter("testcase"))  # noqa: S314  # written by our own run
    assert not [case.get("name") for case in cases if _outcome(case) != "passed"]
    assert {case.get("classname") for case in cases} >= {f"tests.{name.stem}" for name in PROJECT.glob("tests/test_*")}
    imported = (watcher / "imported").read_text().splitlines()
    assert [name for name in imported if name.endswith("/qemu_tests/plugin.py")]
    assert not [name for name in imported if Path(name).is_relative_to(ROOT)]


def _outcome(case: Element) -> str:
    return next((child.tag for child in case if child.tag in {"failure", "error", "skipped"}), "passed")


def test_the_examples_of_the_page_are_pieces_of_the_tests_that_run() -> None:
    tests = [path.read_text() for path in (PROJECT / "tests").glob("*.py")]
    found = blocks(PAGE, "python")
    assert len(found) >= 4
    for block in found:
        assert any(block in text for text in tests), block


@pytest.mark.parametrize(("heading", "owner"), [("## Names", qemu_tests), ("## A machine", "Machine")])
def test_the_reference_names_what_there_is(heading: str, owner: object) -> None:
    holder = getattr(qemu_tests, owner) if isinstance(owner, str) else owner
    names = [name for row in table(PAGE, heading) for name in re.findall(r"`(\w+)", row[0])]
    assert len(names) > 10
    assert not [name for name in names if not hasattr(holder, name)]
