"""The public names of qemu_tests."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import qemu_tests


def loaded_by(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; import sys, json; print(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(done.stdout))


def test_every_public_name_is_there_and_documented() -> None:
    for name in qemu_tests.__all__:
        assert getattr(qemu_tests, name).__doc__, name
        assert name in dir(qemu_tests)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = qemu_tests.Nothing


def test_a_type_checker_sees_the_same_names_from_the_same_modules() -> None:
    tree = ast.parse(Path(qemu_tests.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: f"{node.module}" for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == {name: f"qemu_tests.{module}" for name, module in qemu_tests._HOME.items()}


def test_the_import_alone_loads_nothing_of_the_harness() -> None:
    assert not [name for name in loaded_by("import qemu_tests") if name.startswith("qemu_tests.")]


def test_no_public_name_loads_pytest() -> None:
    assert not loaded_by("from qemu_tests import *") & {"pytest", "_pytest"}
