"""Imports that only happen when a function runs: found in the source, as running every branch at build time is not possible."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError", "Exception"}
_IMPORTERS = {"__import__", "import_module"}
_LONGEST_CODEC = 20


class Imports(NamedTuple):
    """Module names: ``required`` must be importable; each of ``optional`` may be missing or be no module at all.

    ``texts`` are the short string constants, spelled as the modules of the encodings package are (utf-16-le: utf_16_le).
    """

    required: frozenset[str]
    optional: frozenset[str]
    texts: frozenset[str]


def imports_of(source: str, module: str, *, is_package: bool) -> Imports:
    """All imports of a module wherever they stand, except those for type checkers.

    An import whose ImportError is handled is optional, and so is ``b`` of ``from a import b``, which may be no module. A call
    of ``import_module`` counts where the name is written out; a name that is computed cannot be followed.
    """
    visitor = _Visitor(module if is_package else module.rpartition(".")[0])
    visitor.visit(ast.parse(source))
    required = frozenset(visitor.required)
    return Imports(required, frozenset(visitor.optional) - required, frozenset(visitor.texts))


class _Visitor(ast.NodeVisitor):
    def __init__(self, package: str) -> None:
        self._package = package
        self._handled = 0
        self.required: set[str] = set()
        self.optional: set[str] = set()
        self.texts: set[str] = set()

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str) and len(node.value) <= _LONGEST_CODEC:
            self.texts.add(node.value.lower().replace("-", "_"))

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in _IMPORTERS and node.args:
            name = node.args[0]
            # A relative name needs its package, which may be computed; ours are absolute.
            if isinstance(name, ast.Constant) and isinstance(name.value, str) and not name.value.startswith("."):
                self._found([name.value])
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self._found(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parents = self._package.split(".")
            base = ".".join([*parents[: len(parents) - node.level + 1], *filter(None, [base])])
        self._found([base])
        self.optional.update(f"{base}.{alias.name}" for alias in node.names if alias.name != "*")

    def visit_If(self, node: ast.If) -> None:
        if _is_type_checking(node.test):
            self._visit_all(node.orelse)
        else:
            self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        handled = any(_handles_import_error(handler) for handler in node.handlers)
        self._handled += handled
        self._visit_all(node.body)
        self._handled -= handled
        self._visit_all([*node.handlers, *node.orelse, *node.finalbody])

    def _visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def _found(self, names: Iterable[str]) -> None:
        (self.optional if self._handled else self.required).update(names)


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _handles_import_error(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(name, ast.Name) and name.id in _IMPORT_ERRORS for name in names)
