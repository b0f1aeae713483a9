"""A test that cannot fail is none: each checks something, itself or by a function that does."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
Function = ast.FunctionDef | ast.AsyncFunctionDef
# What raises where a tool fails: the checks of those tests whose expectation is that a tool is content.
RAISING = {"check_call", "check_output", "raises", "warns", "fail"}
# The methods of a stage (qemu_tests/story/stage.py) that compare what is on the disk, or on the console, with what is to be there.
STAGE = {"disk", "up", "check"}


def functions() -> list[tuple[Path, Function]]:
    files = [
        path for folder in ("tests", "qemu_tests/suites", "qemu_tests/story") for path in (ROOT / folder).rglob("*.py")
    ]
    return [
        (path, node)
        for path in sorted(files)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, Function)
    ]


def checks(function: Function, checking: set[str]) -> bool:
    return any(
        isinstance(node, ast.Assert | ast.Raise) or (isinstance(node, ast.Call) and is_check(node, checking))
        for node in ast.walk(function)
    )


def is_check(call: ast.Call, checking: set[str]) -> bool:
    checked = any(word.arg == "check" and getattr(word.value, "value", None) is True for word in call.keywords)
    if isinstance(call.func, ast.Attribute):
        if getattr(call.func.value, "id", "") == "scenes":
            return call.func.attr in checking
        # What the harness waits for has a deadline.
        return checked or call.func.attr in RAISING | STAGE or call.func.attr.startswith("wait_for")
    return checked or getattr(call.func, "id", "") in checking | RAISING


def test_every_test_checks_something() -> None:
    everything = functions()
    tests = [(path, node) for path, node in everything if node.name.startswith("test_")]
    assert len(tests) > 500
    helpers: dict[str, list[Function]] = {}
    for _, node in everything:
        helpers.setdefault(node.name, []).append(node)
    # Of helpers with the same name all must check.
    checking: set[str] = set()
    while found := {name for name, nodes in helpers.items() if all(checks(n, checking) for n in nodes)} - checking:
        checking |= found
    idle = [f"{path.relative_to(ROOT)}:{node.lineno} {node.name}" for path, node in tests if not checks(node, checking)]
    assert idle == []
