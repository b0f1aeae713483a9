"""An image gets the modules that its programs import, now or later, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bootselect.integration.closure import import_closure
from image_builder.distribution.interpreter import TargetInterpreter
from image_builder.errors import ClosureError, PackageContentError

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.distribution.packages import TargetPackages
    from image_builder.run import SystemRunner

PARTS = ["python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "zlib1g", "libexpat1"]


@pytest.fixture(scope="module")
def interpreter(runner: SystemRunner, target: TargetPackages) -> TargetInterpreter:
    return TargetInterpreter(runner, target.tree(PARTS), "usr/bin/python3.11", "3.11")


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    (tmp_path / "ours/pack").mkdir(parents=True)
    (tmp_path / "ours/pack/__init__.py").touch()
    return tmp_path / "ours"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    (tmp_path / "foreign").mkdir()
    return tmp_path / "foreign"


def write(folder: Path, **modules: str) -> None:
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)


def files(interpreter: TargetInterpreter, ours: Path, foreign: Path) -> set[str]:
    return set(import_closure(interpreter, ["pack.main"], ours=["pack"], folders=[ours, foreign]).files)


def test_only_what_is_imported_is_taken(interpreter: TargetInterpreter, ours: Path, foreign: Path) -> None:
    write(ours / "pack", main="import pack.used\nimport bisect\n", used="", unused="")
    closure = files(interpreter, ours, foreign)
    assert {"pack/__init__.py", "pack/main.py", "pack/used.py", "bisect.py", "encodings/utf_8.py"} <= closure
    assert not closure & {"pack/unused.py", "json/__init__.py", "re/__init__.py"}


def test_a_module_that_only_a_function_imports_is_taken_with_all_it_needs(
    interpreter: TargetInterpreter, ours: Path, foreign: Path
) -> None:
    write(ours / "pack", main="def f():\n    import pack.late\n", late="def g():\n    import colorsys, later\n")
    write(foreign, later="import sched")
    assert {"pack/late.py", "colorsys.py", "later.py", "sched.py"} <= files(interpreter, ours, foreign)


def test_a_module_that_only_a_function_imports_must_exist(
    interpreter: TargetInterpreter, ours: Path, foreign: Path
) -> None:
    write(ours / "pack", main="def f():\n    import no_such_module\n")
    with pytest.raises(ClosureError, match="No module named 'no_such_module'") as caught:
        files(interpreter, ours, foreign)
    assert "\n" not in str(caught.value)


def test_an_entry_that_cannot_be_imported_is_named(interpreter: TargetInterpreter, ours: Path, foreign: Path) -> None:
    with pytest.raises(ClosureError, match=r"cannot import pack.main: .*No module named 'pack.main'"):
        files(interpreter, ours, foreign)


def test_foreign_packages_may_try_what_is_not_there(interpreter: TargetInterpreter, ours: Path, foreign: Path) -> None:
    write(ours / "pack", main="import guest")
    write(foreign, guest="def f():\n    import no_such_module, broken, sched\n", broken="raise RuntimeError")
    assert {"guest.py", "sched.py"} <= files(interpreter, ours, foreign)


def test_a_codec_that_is_only_named_is_taken(interpreter: TargetInterpreter, ours: Path, foreign: Path) -> None:
    write(ours / "pack", main="def f(data):\n    return data.decode('utf-16-be')\n")
    assert "encodings/utf_16_be.py" in files(interpreter, ours, foreign)


def test_what_a_package_imports_when_a_name_is_asked_for_is_taken(
    interpreter: TargetInterpreter, ours: Path, foreign: Path
) -> None:
    (ours / "pack/__init__.py").write_text(
        "def __getattr__(name):\n    from importlib import import_module\n    return import_module(f'pack.{name.lower()}')\n"
    )
    write(ours / "pack", main="def f():\n    from pack import Disk\n", disk="")
    assert "pack/disk.py" in files(interpreter, ours, foreign)


def test_a_module_that_puts_another_in_its_place_is_taken(
    interpreter: TargetInterpreter, ours: Path, foreign: Path
) -> None:
    write(ours / "pack", main="import pack.front", front="import sys, bisect\nsys.modules[__name__] = bisect")
    assert {"pack/front.py", "bisect.py"} <= files(interpreter, ours, foreign)


def test_nothing_beside_our_packages_takes_the_place_of_the_standard_library(
    interpreter: TargetInterpreter, ours: Path, foreign: Path
) -> None:
    write(ours / "pack", main="def f():\n    import bisect\n")
    write(foreign, bisect="import no_such_module")
    assert "bisect.py" in files(interpreter, ours, foreign)
    assert (
        import_closure(interpreter, ["pack.main"], ours=["pack"], folders=[ours, foreign])
        .files["bisect.py"]
        .is_relative_to(interpreter.standard_library)
    )


def test_extension_modules_are_taken_and_openssl_is_not(
    interpreter: TargetInterpreter, ours: Path, foreign: Path
) -> None:
    write(ours / "pack", main="import hashlib, json\n")
    closure = files(interpreter, ours, foreign)
    assert "lib-dynload/_json.cpython-311-x86_64-linux-gnu.so" in closure
    assert not [name for name in closure if "_hashlib" in name]


def test_a_folder_without_an_interpreter_is_refused(runner: SystemRunner, tmp_path: Path) -> None:
    with pytest.raises(PackageContentError, match="there is no interpreter here"):
        TargetInterpreter(runner, tmp_path, "usr/bin/python3.11", "3.11")
