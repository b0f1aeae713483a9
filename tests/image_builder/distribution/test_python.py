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
OURS = ("bootselect", "gptlib", "crcmod")


@pytest.fixture(scope="module")
def boot(runner: SystemRunner, target: TargetPackages) -> PythonTree:
    return boot_python(runner, target, cache_root())


@pytest.fixture(scope="module")
def boot_without_kexec(runner: SystemRunner, target: TargetPackages) -> PythonTree:
    return boot_python(runner, target, cache_root(), kexec=False)


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


def module_name(place: str) -> str:
    return place.rpartition(".")[0].removesuffix("/__init__").replace("/", ".")


def ours_in(tree: PythonTree) -> set[str]:
    return {name for name in tree.modules if name.startswith(OURS)}


def permissions(root: Path) -> dict[str, int]:
    return {str(path.relative_to(root)): path.stat().st_mode for path in root.rglob("*")}


def test_the_boot_path_gets_no_sources_and_nothing_that_it_does_not_import(boot: PythonTree) -> None:
    files = set(content(boot.root))
    assert {
        f"{LIBRARY}/bootselect.bundle",
        f"{LIBRARY}/bootselect.pyc",
        f"{LIBRARY}/os.pyc",
        "usr/bin/python3",
    } <= files
    assert (boot.root / LIBRARY / "lib-dynload").is_dir()
    assert not [name for name in files if name.endswith(".py")]
    assert not {"construct", "click", "typing", "re", "dataclasses", "_hashlib", "site", "pathlib"} & set(boot.modules)


def test_the_boot_path_gets_the_modules_that_other_initramfs_tools_are_given(boot: PythonTree, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "bootselect.integration.stage", str(tmp_path)]
    subprocess.run(argv, capture_output=True, check=True, cwd=Path(__file__).parents[3])
    staged = {name.partition("/python3.")[2].partition("/")[2] for name in content(tmp_path)}
    # The two interpreters may be of different versions, and so have other standard libraries.
    assert {name for name in map(module_name, staged) if name.startswith(OURS)} == ours_in(boot) - {"crcmod._crcfunext"}
    assert "gptlib.read.state" in boot.modules


SAY_WHENCE = """
import sys
for name in {names!r}:
    __import__(name)
for name in {names!r}:
    spec = sys.modules[name].__spec__
    print(name, spec.origin)
"""


@pytest.mark.parametrize("which", ["boot", "boot_without_kexec"])
def test_every_module_is_found_in_the_tree_alone_whichever_comes_first(
    which: str, request: pytest.FixtureRequest
) -> None:
    tree: PythonTree = request.getfixturevalue(which)
    names = ["bootselect", *sorted(ours_in(tree), reverse=True)]
    done = python(tree, "-c", SAY_WHENCE.format(names=names))
    assert (done.returncode, done.stderr) == (0, "")
    whence = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert {name for name, origin in whence.items() if not origin.startswith(f"{tree.root}/")} == set()


def test_what_every_boot_loads_comes_out_of_one_file_and_what_few_boots_load_does_not(
    boot: PythonTree, slot_image: Callable[..., SlotImage]
) -> None:
    report = "print(*(f'{n}={m.__spec__.origin}' for n, m in sys.modules.items() if n != '__main__'), sep='\\n')"
    done = python(boot, "-c", f"{SELECT}\n{report}", slot_image((1, 0, 1), (2, 3, 0)).path)
    assert (done.returncode, done.stderr) == (0, "")
    whence = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith(OURS))
    importer = str(boot.root / LIBRARY / "bootselect.pyc")
    # The slots of the test cannot be mounted, so that they are marked bad as well.
    others = {name for name, origin in whence.items() if origin != importer}
    assert others == {"crcmod._crcfunext", "bootselect.verbs"}
    assert {"bootselect", "bootselect.initramfs.selector", "gptlib.write.table", "crcmod.crcmod"} <= whence.keys()
    rare = content(boot.root).keys() & {f"{LIBRARY}/bootselect/{name}.pyc" for name in ("verbs", "initramfs/rescue")}
    assert len(rare) == 2


def test_the_rescue_shell_s_command_runs_from_the_tree_alone(boot: PythonTree) -> None:
    done = python(boot, "-c", "from bootselect.initramfs.rescue import main; main()")
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("usage: bootselect status")


def test_without_kexec_there_is_no_ctypes_and_nothing_that_only_it_needs(
    boot: PythonTree, boot_without_kexec: PythonTree
) -> None:
    more, fewer = set(content(boot.root)), set(content(boot_without_kexec.root))
    left_out = {name.rpartition("/")[2].partition(".")[0] for name in more - fewer}
    assert left_out == {"kexec", "syscall", "__init__", "_endian", "_ctypes", "libffi", "types"}
    assert fewer < more
    assert "bootselect.initramfs.kexec" not in boot_without_kexec.modules


WITH_KEXEC = """
import os
from bootselect.initramfs import selector
from bootselect.initramfs.config import parse_config
from bootselect.initramfs.disks import DiskChoice
selector.load_config = lambda: parse_config("", "bootselect.hand-over=kexec")
selector.loader_partuuid = lambda: ""
selector.scan = lambda *_, **__: []
selector.choose_at_once = lambda *_, **__: None
class Log:
    def say(self, text, level=5):
        print(text)
selector.Log = Log
def boot_disk(path, config, log, run, hand_over):
    print("booted by", config.hand_over)
selector.boot_disk = boot_disk
selector.choose_at_once = lambda *_, **__: DiskChoice("/dev/vda", "it is there", True)
print(selector.run())
"""


def test_a_kexec_that_was_left_out_is_said_and_the_slot_is_started_by_switch_root(
    boot: PythonTree, boot_without_kexec: PythonTree
) -> None:
    done = python(boot_without_kexec, "-c", WITH_KEXEC)
    assert (done.returncode, done.stderr) == (0, "")
    first, *others = done.stdout.splitlines()
    assert first.startswith("hand-over=kexec: this initramfs was built without it")
    assert others == ["disk /dev/vda: it is there", "booted by switch_root", "0"]
    assert "booted by kexec" in python(boot, "-c", WITH_KEXEC).stdout.splitlines()


def test_the_boot_path_loads_the_fast_checksum(boot: PythonTree) -> None:
    assert "crcmod._crcfunext" in boot.modules


@pytest.mark.slow
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
    for package in ("gptlib", "bootselect"):
        folder = Path(__file__).parents[3] / package
        ours = {f"{LIBRARY}/{package}/{path.relative_to(folder)}c" for path in folder.rglob("*.py")}
        assert ours <= set(names)
    done = python(slot, "-c", "import construct, gptlib.layout.header; print(construct.__version__)")
    assert (done.returncode, done.stdout.strip()) == (0, "2.10.68")


def test_the_slot_installs_from_media_and_says_what_it_lacks_for_a_repository(slot: PythonTree) -> None:
    names = content(slot.root)
    for module in ("lock/open", "payload/frames", "publish/api", "repository/repository", "transport/http"):
        assert f"{LIBRARY}/update_agent/{module}.pyc" not in names
    updatectl = "import sys; from update_agent.entry import main; sys.argv[0] = 'updatectl'; main()"
    done = python(slot, "-c", updatectl, "check")
    assert done.returncode == 1
    assert done.stderr.startswith("updatectl: updating from a repository needs the Python package ")
    assert done.stderr.count("\n") == 1
    assert "install" in python(slot, "-c", updatectl, "--help").stdout


@pytest.mark.parametrize("module", ["bootselect.cli.main", "update_agent.cli.main"])
def test_commands_in_a_slot_know_their_version_without_metadata(slot: PythonTree, module: str) -> None:
    done = python(slot, "-c", f"from {module} import main; main()", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().endswith(f"version {__version__}")
