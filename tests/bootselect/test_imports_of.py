"""Imports are found wherever they stand in a module."""

from __future__ import annotations

from bootselect.integration.imports import Imports, imports_of


def found(source: str, module: str = "pack.mod", *, is_package: bool = False) -> Imports:
    return imports_of(source, module, is_package=is_package)


def names(source: str) -> tuple[set[str], set[str]]:
    """The required and the optional ones."""
    return set(found(source).required), set(found(source).optional)


def test_an_import_inside_a_function_is_found() -> None:
    assert names("def f():\n    import gptlib.table.table, os\n") == ({"gptlib.table.table", "os"}, set())


def test_what_is_imported_from_a_package_may_be_a_module() -> None:
    assert names("from gptlib import table") == ({"gptlib"}, {"gptlib.table"})


def test_a_star_is_no_module() -> None:
    assert names("from gptlib import *") == ({"gptlib"}, set())


def test_relative_imports_start_from_the_package() -> None:
    assert found("from . import a").required == {"pack"}
    assert found("from .a import b").required == {"pack.a"}
    assert found("from .a import b", "pack", is_package=True).required == {"pack.a"}
    assert found("from ..a import b", "pack.sub.mod").required == {"pack.a"}


def test_imports_for_type_checkers_do_not_count() -> None:
    source = (
        "import typing\nif typing.TYPE_CHECKING:\n    import a\nelse:\n    import b\nif TYPE_CHECKING:\n    import c\n"
    )
    assert found(source).required == {"typing", "b"}


def test_an_import_whose_failure_is_handled_is_optional() -> None:
    source = "try:\n    import fast\nexcept (ImportError, OSError):\n    import slow\nelse:\n    import more\n"
    assert names(source) == ({"slow", "more"}, {"fast"})


def test_a_try_for_another_reason_makes_nothing_optional() -> None:
    assert found("try:\n    import needed\nexcept OSError:\n    pass\n").required == {"needed"}
    assert found("try:\n    import needed\nfinally:\n    pass\n").required == {"needed"}


def test_codec_names_are_spelled_as_their_modules_are() -> None:
    assert {"utf_16_le", "ascii"} <= found("a.decode('UTF-16-LE')\nopen(b, encoding='ascii')\n").texts


def test_a_call_that_imports_counts_where_the_name_is_written_out() -> None:
    source = "import_module('a.b')\nimportlib.import_module('c')\n__import__('d')\nimport_module(name)\nimport_module('.e', 'pack')\n"
    assert names(source) == ({"a.b", "c", "d"}, set())
