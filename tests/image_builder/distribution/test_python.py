"""The Python of the images: small, complete, and the same wherever it is built."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gptlib import __version__
from image_builder.cache import cache_root
from image_builder.distribution.python import PythonTree, boot_python, slot_python

if TYPE_CHECKING:
    from collections.abc import Callable

    from image_builder.distribution.packages import TargetPackages
    from image_builder.run import SystemRunner
    from tests.support import SlotImage

LIBRARY = "usr/lib/python3.11"


@pytest.fixture(scope="module")
def boot(runner: SystemRunner, target: TargetPackages) -> PythonTree:
    return boot_python(runner, target, cache_root())


@pytest.fixture(scope="module")
def slot(runner: SystemRunner, target: TargetPackages) -> PythonTree:
    return slot_python(runner, target, cache_root())


def python(tree: PythonTree, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the image's Python with nothing but what the image has: its own linker, libraries and modules."""
    linker, libraries = tree.root / "lib64/ld-linux-x86-64.so.2", tree.root / "usr/lib/x86_64-linux-gnu"
    words = [linker, "--inhibit-cache", "--library-path", libraries, tree.root / "usr/bin/python3", "-I", "-S", "-B"]
    command = [str(word) for word in (*words, *arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={}, check=False)


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def permissions(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mode for path in root.rglob("*")}


def test_the_boot_path_gets_no_sources_and_nothing_that_it_does_not_import(boot: PythonTree) -> None:
    files = set(content(boot.root))
    assert {f"{LIBRARY}/bootselect/initramfs/selector.pyc", f"{LIBRARY}/os.pyc", "usr/bin/python3"} <= files
    assert (boot.root / LIBRARY / "lib-dynload").is_dir()
    assert not [name for name in files if name.endswith(".py")]
    assert not {"construct", "click", "typing", "re", "dataclasses", "_hashlib", "site", "pathlib"} & set(boot.modules)


def test_the_boot_path_gets_the_modules_that_other_initramfs_tools_are_given(boot: PythonTree, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "bootselect.integration.stage", str(tmp_path)]
    subprocess.run(argv, capture_output=True, check=True, cwd=Path(__file__).parents[3])
    staged = {name.partition("/python3.")[2].partition("/")[2] for name in content(tmp_path)}
    built = {name.partition("/python3.")[2].partition("/")[2] for name in content(boot.root)}
    # The two interpreters may be of different versions, and so have other standard libraries.
    ours = ("bootselect/", "gptlib/", "crcmod/")
    kept = {name for name in built if name.startswith(ours) and name.endswith(".pyc")}
    assert {name for name in staged if name.startswith(ours)} == kept
    assert "gptlib/read/state.pyc" in kept


def test_the_boot_path_loads_the_fast_checksum(boot: PythonTree) -> None:
    assert "crcmod._crcfunext" in boot.modules


@pytest.mark.parametrize(
    ("name", "build"), [("boot", boot_python), pytest.param("slot", slot_python, marks=pytest.mark.slow)]
)
def test_the_same_bytes_come_out_of_every_build_and_no_path_of_the_builder_is_in_them(
    name: str,
    build: Callable[..., PythonTree],
    request: pytest.FixtureRequest,
    runner: SystemRunner,
    target: TargetPackages,
    tmp_path: Path,
) -> None:
    first: PythonTree = request.getfixturevalue(name)
    before = os.umask(0o077)
    try:
        second = build(runner, target, tmp_path / "a colon: and, a comma, ü")
    finally:
        os.umask(before)
    assert first.identity == second.identity
    files = content(second.root)
    assert content(first.root) == files
    assert permissions(first.root) == permissions(second.root)
    here = [str(path).encode() for path in (tmp_path, cache_root(), Path(__file__).parents[3])]
    assert not [name for name, data in files.items() if any(path in data for path in here)]


def test_compiled_modules_are_not_checked_against_a_source(boot: PythonTree) -> None:
    # PEP 552: the second word of the header; bit 0 means hash-based, bit 1 that the source is looked at.
    compiled = list(boot.root.rglob("*.pyc"))
    assert compiled
    for path in compiled:
        assert path.read_bytes()[4:8] == b"\x01\0\0\0", path


@pytest.mark.parametrize("which", ["boot", "slot"])
def test_every_shared_library_is_there(which: str, request: pytest.FixtureRequest) -> None:
    tree: PythonTree = request.getfixturevalue(which)
    linker, libraries = tree.root / "lib64/ld-linux-x86-64.so.2", tree.root / "usr/lib/x86_64-linux-gnu"
    found: set[str] = set()
    for file in [tree.root / "usr/bin/python3", *tree.root.rglob("*.so")]:
        command = [str(word) for word in (linker, "--inhibit-cache", "--library-path", libraries, "--list", file)]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for line in out.splitlines():
            name, arrow, place = line.partition(" => ")
            assert not arrow or place.startswith(str(tree.root)) or "ld-linux" in line, (file, line)
            found.add(name.strip())
    assert "libc.so.6" in found


SELECT = """
import sys
from bootselect.errors import NothingBootableError
from bootselect.initramfs.config import parse_config
from bootselect.initramfs.log import Log
from bootselect.initramfs.selector import boot_disk
try:
    boot_disk(sys.argv[1], parse_config("policy=nonsense", ""), Log("/dev/null", "/dev/null", "/none"), lambda argv: (1, ""))
except NothingBootableError as error:
    print(error)
"""


def test_the_selector_runs_from_its_files_alone_and_writes_the_table(
    boot: PythonTree, slot_image: Callable[..., SlotImage]
) -> None:
    image = slot_image((2, 3, 0), (1, 0, 1))
    image.zero(1)
    done = python(boot, "-c", SELECT, image.path)
    assert (done.stderr, done.returncode) == ("", 0)
    assert "no slot is bootable" in done.stdout
    assert image.attributes() == [(2, 0, 0), (1, 0, 0)]
    assert "No problems found" in image.verify()


def test_the_rescue_shell_s_command_runs_from_its_files_alone(boot: PythonTree) -> None:
    done = python(boot, "-c", "from bootselect.initramfs.rescue import main; main()", "--help")
    assert (done.returncode, done.stderr) == (2, "")
    assert "bootselect mark-good SLOT" in done.stdout


@pytest.mark.parametrize("module", ["gptlib.cli.main", "bootselect.cli.main"])
def test_the_command_lines_of_the_slot_have_their_help(slot: PythonTree, module: str) -> None:
    done = python(slot, "-c", f"from {module} import main; main()", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "show" in done.stdout or "mark-good" in done.stdout


def test_the_slot_s_tools_read_a_table(slot: PythonTree, slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1))
    done = python(slot, "-c", "from gptlib.cli.main import main; main()", "show", "-v", image.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert image.partuuid(3).upper() in done.stdout


def test_modules_of_the_slot_can_be_run_by_name(slot: PythonTree) -> None:
    done = python(slot, "-m", "base64", "-t")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_slot_has_our_packages_and_construct_whole(slot: PythonTree) -> None:
    names = content(slot.root)
    for package in ("gptlib", "bootselect", "update_agent"):
        folder = Path(__file__).parents[3] / package
        ours = {f"{LIBRARY}/{package}/{path.relative_to(folder)}c" for path in folder.rglob("*.py")}
        assert ours <= set(names)
    done = python(slot, "-c", "import construct, gptlib.layout.header; print(construct.__version__)")
    assert (done.returncode, done.stdout.strip()) == (0, "2.10.68")


@pytest.mark.parametrize("module", ["bootselect.cli.main", "update_agent.cli"])
def test_commands_in_a_slot_know_their_version_without_metadata(slot: PythonTree, module: str) -> None:
    done = python(slot, "-c", f"from {module} import main; main()", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().endswith(f"version {__version__}")
