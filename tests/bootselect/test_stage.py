"""What the hooks of initramfs-tools and dracut put into an initramfs: complete, and following what the selector imports."""

from __future__ import annotations

import ast
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import crcmod
import pytest

from bootselect.integration.needs import ENTRY_POINTS, START
from bootselect.integration.stage import kernel_modules

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
INTEGRATION = ROOT / "bootselect/integration"
STDLIB = Path(sysconfig.get_path("stdlib"))
LIBRARY = Path("usr") / STDLIB.relative_to(sys.base_prefix)
COMMAND = "bootselect.integration.stage"
PYTHON_2_ONLY = ("crcmod", "import predefined")
SOURCES = {"bootselect": ROOT, "gptlib": ROOT, "crcmod": Path(crcmod.__path__[0]).parent}


def run_stage(*arguments: str | Path, checkout: Path = ROOT, flags: tuple[str, ...] = (), **environment: str) -> str:
    """Its output. Raises CalledProcessError."""
    argv = [sys.executable, *flags, "-m", COMMAND, *map(str, arguments)]
    env = {**os.environ, **environment}
    return subprocess.run(argv, capture_output=True, text=True, check=True, cwd=checkout, env=env).stdout


@dataclass(frozen=True)
class Tree:
    """A root with nothing but what was staged, and the interpreter and extensions that the hook was told to copy."""

    root: Path

    @property
    def modules(self) -> dict[str, Path]:
        """Module name -> file."""
        library = self.root / LIBRARY
        files = {path.relative_to(library): path for path in library.rglob("*.*") if path.suffix in {".pyc", ".so"}}
        return {_module_name(place): path for place, path in files.items()}

    def python(self, program: str) -> str:
        """Run a program in the staged interpreter, isolated; its output. Raises CalledProcessError."""
        argv = [str(self.root / "usr/bin/python3"), *START, program]
        return subprocess.run(argv, capture_output=True, text=True, check=True, env={}).stdout


def _module_name(place: Path) -> str:
    parts = [part for part in place.parts[:-1] if part != "lib-dynload"]
    name = place.name.partition(".")[0]
    return ".".join([*parts, *([] if name == "__init__" else [name])])


def staged_tree(root: Path, checkout: Path = ROOT) -> Tree:
    for line in run_stage(root, checkout=checkout).splitlines():
        source, place = line.split("\t")
        target = root / place.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    return Tree(root)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    return staged_tree(tmp_path_factory.mktemp("staged") / "initramfs")


REPORT = """
import sys
missing, outside = [], []
for name, statement in {work!r}:
    try:
        exec(statement, {{"__name__": name, "__package__": name.rpartition(".")[0]}})
    except Exception as error:
        missing.append(f"{{name}}: {{statement}}: {{error}}")
for name, module in sys.modules.items():
    # A folder without its __init__ is imported as a package without a file.
    origin = str(module.__spec__.origin) if name != "__main__" else "built-in"
    if origin not in ("built-in", "frozen") and not origin.startswith({root!r} + "/"):
        outside.append(f"{{name}}: taken from {{origin}}")
print(*missing, *outside, sep="\\n", end="")
"""


def problems(tree: Tree, work: list[tuple[str, str]]) -> list[str]:
    """What the isolated interpreter cannot do of (module, statement of it), and what it takes from elsewhere."""
    return tree.python(REPORT.format(work=work, root=str(tree.root))).splitlines()


def needs_type_checker(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def statements_of(node: ast.AST) -> Iterator[str]:
    """Each import, wherever it stands, and each codec that is named."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield ast.unparse(node)
    if isinstance(node, ast.Call):
        named = [word.value for word in node.keywords if word.arg == "encoding"]
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"encode", "decode"}:
            named += node.args[:1]
        yield from (f"import _codecs; _codecs.lookup({ast.unparse(name)})" for name in named)
    children = node.orelse if isinstance(node, ast.If) and needs_type_checker(node) else ast.iter_child_nodes(node)
    for child in children:
        yield from statements_of(child)


def statements(tree: Tree) -> list[tuple[str, str]]:
    """Those of all staged modules that are no part of the standard library, from their sources, and what calls them."""
    work = [("main", f"import {name}") for name in ENTRY_POINTS]
    for name in tree.modules:
        folder = SOURCES.get(name.partition(".")[0])
        if folder is None:
            continue
        file = folder / (name.replace(".", "/") + ".py")
        if not file.exists():
            file = folder / name.replace(".", "/") / "__init__.py"
        if file.exists():
            work += [(name, statement) for statement in statements_of(ast.parse(file.read_text()))]
    work.remove(PYTHON_2_ONLY)
    return work


def test_every_staged_module_is_imported_by_the_staged_interpreter_alone(tree: Tree) -> None:
    assert problems(tree, [("main", f"import {name}") for name in tree.modules]) == []


def test_every_import_of_any_function_succeeds_in_the_staged_interpreter_alone(tree: Tree) -> None:
    work = statements(tree)
    lazy = {"from gptlib.write.stale_headers import find_stale_headers", "from bootselect.initramfs import verity"}
    assert lazy <= {statement for _, statement in work}
    assert problems(tree, work) == []


@pytest.mark.slow
def test_without_any_one_of_the_staged_modules_the_proof_fails(tree: Tree) -> None:
    work = statements(tree)
    assert problems(tree, work) == []
    kept = []
    for name, path in tree.modules.items():
        away = path.with_name("away")
        path.rename(away)
        try:
            if not problems(tree, work):
                kept.append(name)
        except subprocess.CalledProcessError:
            continue  # the interpreter itself does not start
        finally:
            away.rename(path)
    assert kept == []


def test_what_only_the_version_needs_stays_out(tree: Tree) -> None:
    assert "gptlib._version" not in tree.modules
    assert not [name for name in tree.modules if name.startswith(("importlib.metadata", "email"))]


def test_the_entry_points_run_in_the_staged_interpreter_alone(tree: Tree) -> None:
    for entry in ENTRY_POINTS:
        assert tree.python(f"from {entry} import main; print(main.__name__)") == "main\n"


def test_the_scripts_call_nothing_but_the_entry_points_and_in_the_way_that_was_tried(tree: Tree) -> None:
    scripts = [path for path in INTEGRATION.rglob("*") if path.is_file() and path.suffix in {"", ".sh"}]
    called = set()
    for path in [*scripts, ROOT / "bootselect/initramfs/init", tree.root / "usr/bin/bootselect"]:
        for flags, entry in re.findall(r"python3 ([^'\"]*)['\"]from (\S+) import", path.read_text()):
            assert tuple(flags.split()) == START, path
            called.add(entry)
    assert called == {"bootselect.initramfs.selector", "bootselect.initramfs.rescue"}
    assert called == set(ENTRY_POINTS)


def test_no_import_on_the_boot_path_has_a_name_that_is_computed(tree: Tree) -> None:
    computed = set()
    for name, path in tree.modules.items():
        folder = SOURCES.get(name.partition(".")[0])
        source = None if folder is None else folder / path.relative_to(tree.root / LIBRARY).with_suffix(".py")
        if source is None or not source.exists():
            continue
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in {
                "import_module",
                "__import__",
            }:
                computed.add(name)
    # What is asked for there by name is seen where it is asked for.
    assert computed == {"gptlib"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of our packages that a test may change."""
    for package in ("bootselect", "gptlib"):
        shutil.copytree(ROOT / package, tmp_path / "checkout" / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "checkout"


def append(path: Path, text: str) -> None:
    path.write_text(f"{path.read_text()}\n\n{text}")


def test_what_a_function_starts_to_import_is_staged_with_all_it_needs(checkout: Path, tmp_path: Path) -> None:
    append(checkout / "gptlib/linux/kernel.py", "def later() -> None:\n    from bootselect.initramfs import fresh\n")
    (checkout / "bootselect/initramfs/fresh.py").write_text(
        "def f(data):\n    import sched\n    data.decode('koi8-r')\n"
    )
    tree = staged_tree(tmp_path / "initramfs", checkout)
    assert {"bootselect.initramfs.fresh", "sched", "heapq", "encodings.koi8_r"} <= tree.modules.keys()


def test_a_module_that_was_renamed_is_followed(checkout: Path, tmp_path: Path) -> None:
    (checkout / "gptlib/write/stale_headers.py").rename(checkout / "gptlib/leftovers.py")
    for path in (checkout / "gptlib").rglob("*.py"):
        path.write_text(path.read_text().replace("gptlib.write.stale_headers", "gptlib.leftovers"))
    tree = staged_tree(tmp_path / "initramfs", checkout)
    assert "gptlib.leftovers" in tree.modules
    assert "gptlib.write.stale_headers" not in tree.modules


def refusal(*arguments: str | Path, checkout: Path = ROOT, flags: tuple[str, ...] = (), code: int = 1) -> str:
    """The one line that it says on the standard error."""
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run_stage(*arguments, checkout=checkout, flags=flags)
    assert (caught.value.returncode, caught.value.stdout) == (code, "")
    said = str(caught.value.stderr)
    assert "Traceback" not in said
    if code == 1:
        assert said.startswith(f"python3 -m {COMMAND}: ")
        assert said.count("\n") == 1
    return said


def test_an_import_of_something_that_is_not_there_is_refused_and_nothing_is_written(
    checkout: Path, tmp_path: Path
) -> None:
    append(checkout / "bootselect/verbs.py", "def later() -> None:\n    import no_such_module\n")
    assert "No module named 'no_such_module'" in refusal(tmp_path / "initramfs", checkout=checkout)
    assert not (tmp_path / "initramfs").exists()


def test_a_module_without_its_source_is_refused_as_it_cannot_be_followed(checkout: Path, tmp_path: Path) -> None:
    module = checkout / "bootselect/verbs.py"
    py_compile.compile(str(module), cfile=f"{module}c", doraise=True)
    module.unlink()
    assert "bootselect.verbs has no source" in refusal(tmp_path / "initramfs", checkout=checkout)


def test_without_crcmod_it_is_named_with_the_package(tmp_path: Path) -> None:
    said = refusal(tmp_path / "initramfs", flags=("-S",))
    assert "crcmod: there is no such module" in said
    assert "python3-crcmod" in said
    assert not (tmp_path / "initramfs").exists()


@pytest.mark.slow
def test_a_destination_that_cannot_be_filled_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert f"{file}: File exists; expected a folder" in refusal(file)
    assert f"{file}/below: Not a directory" in refusal(file / "below")
    assert "/proc/initramfs: No such file or directory" in refusal("/proc/initramfs")


@pytest.mark.parametrize("wrong", ["--no-such-option", "", "--kernel-modules /tmp/both", "one two"])
def test_what_is_no_use_of_it_is_a_usage_error_and_nothing_is_written(checkout: Path, wrong: str) -> None:
    before = sorted(checkout.iterdir())
    assert "usage: python3 -m" in refusal(*wrong.split(), checkout=checkout, code=2)
    assert sorted(checkout.iterdir()) == before


def test_help_is_printed_and_no_folder_is_made(checkout: Path) -> None:
    before = sorted(checkout.iterdir())
    assert "DESTDIR" in run_stage("--help", checkout=checkout)
    assert sorted(checkout.iterdir()) == before


@pytest.mark.parametrize("hook", ["initramfs-tools/hooks/bootselect", "dracut/90bootselect/module-setup.sh"])
def test_the_hooks_read_paths_with_blanks(hook: str) -> None:
    text = (ROOT / "bootselect/integration" / hook).read_text()
    (loop,) = [line for line in text.splitlines() if "read -r source place" in line]
    program = f'{loop} echo "[$source][$place]"; done'
    shell = "sh" if text.startswith("#!/bin/sh") else "bash"
    done = subprocess.run([shell, "-c", program], input="/a b/c\t/d e\n", capture_output=True, text=True, check=True)
    assert done.stdout == "[/a b/c][/d e]\n"


def test_the_interpreter_and_its_extensions_are_left_for_the_hook(tmp_path: Path) -> None:
    lines = [line.split("\t") for line in run_stage(tmp_path / "initramfs").splitlines()]
    left = {place: source for source, place in lines}
    assert Path(left["/usr/bin/python3"]) == Path(sys.executable).resolve()
    assert all(Path(source).is_file() for source in left.values())
    assert any(place.startswith(f"/{LIBRARY}/lib-dynload/_ctypes.") for place in left)


@pytest.mark.slow
def test_staging_gives_the_same_bytes_each_time_without_a_path_of_this_machine(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        run_stage(tmp_path / seed, PYTHONHASHSEED=seed, PYTHONOPTIMIZE=seed)
    files = [path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*") if path.is_file()]
    assert len(files) > 30
    for file in files:
        content = (tmp_path / "1" / file).read_bytes()
        assert content == (tmp_path / "2" / file).read_bytes(), file
        assert str(ROOT).encode() not in content


def test_folders_of_the_initramfs_that_are_links_stay_links(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "usr/lib64").mkdir()
    (tmp_path / "usr/lib").symlink_to("lib64")
    run_stage(tmp_path)
    assert (tmp_path / "usr/lib").is_symlink()
    assert (tmp_path / "usr/lib64").joinpath(*LIBRARY.parts[2:], "os.pyc").is_file()
    assert os.access(tmp_path / "bin/bootselect", os.X_OK)


@pytest.mark.parametrize(
    ("settings", "required"),
    [
        ("", ["erofs", "squashfs", "ext4"]),
        ("fstype=erofs\n", ["erofs"]),
        ("fstype=btrfs\n", ["btrfs"]),
        ("verity=auto\nfstype=squashfs\n", ["squashfs", "dm_verity", "sha256"]),
    ],
)
def test_kernel_modules_are_those_of_the_settings_and_of_what_may_be_set_at_boot(
    tmp_path: Path, settings: str, required: list[str]
) -> None:
    conf = tmp_path / "boot.conf"
    conf.write_text(settings)
    needed, more = kernel_modules(conf)
    assert needed == required
    assert {"erofs", "squashfs", "ext4", "efivarfs", "dm_verity", "sha256"} <= {*needed, *more}
    assert len({*needed, *more}) == len([*needed, *more])


def test_the_drivers_of_watchdogs_come_with_the_setting(tmp_path: Path) -> None:
    conf = tmp_path / "boot.conf"
    assert "=drivers/watchdog" not in kernel_modules(conf)[1]
    conf.write_text("watchdog=60")
    assert "=drivers/watchdog" in kernel_modules(conf)[1]


def test_settings_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    from bootselect.integration.stage import SettingsError

    with pytest.raises(SettingsError, match=r"Is a directory; expected the settings of the selector"):
        kernel_modules(tmp_path)
