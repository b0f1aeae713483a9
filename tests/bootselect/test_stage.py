"""What the hooks of initramfs-tools and dracut put into an initramfs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bootselect.integration import stage as staging

ROOT = Path(__file__).parent.parent.parent
LIBRARY = f"usr/lib/python{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def staged(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """The tree, and what is left for the hook: place in the initramfs -> source."""
    argv = [sys.executable, "-m", "bootselect.integration.stage", str(tmp_path / "initramfs")]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()
    return tmp_path / "initramfs", {place: source for source, place in (line.split("\t") for line in lines)}


def test_the_selector_is_staged_compiled_and_complete(staged: tuple[Path, dict[str, str]]) -> None:
    tree, left = staged
    for place, source in left.items():
        target = tree / place.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)
    folders = [str(tree / LIBRARY), str(tree / LIBRARY / "lib-dynload")]
    program = (
        f"import sys; keep = set(sys.modules); sys.path[:] = {folders!r}\n"
        "import bootselect.initramfs.selector, bootselect.initramfs.rescue, array\n"
        "specs = [sys.modules[name].__spec__ for name in set(sys.modules) - keep if name[:9] != 'encodings']\n"
        "print(*(spec.origin for spec in specs if spec.origin not in {'frozen', 'built-in', None}), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, text=True, check=True)
    assert [line for line in done.stdout.split() if not Path(line).is_relative_to(tree)] == []


def test_what_functions_import_when_they_are_called_is_staged_too(staged: tuple[Path, dict[str, str]]) -> None:
    tree, left = staged
    modules = [
        "bootselect.initramfs.kexec",  # hand-over=kexec
        "bootselect.initramfs.verity",  # a sealed slot
        "gptlib.remnants",  # the first boot of an image on a larger disk, a disk without an MBR
        "gptlib.order",  # bootselect mark-good in the rescue shell
        "array",  # partitions that the kernel has to be told of
    ]
    for place, source in left.items():
        target = tree / place.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(source)
    folders = [str(tree / LIBRARY), str(tree / LIBRARY / "lib-dynload")]
    program = f"import sys; sys.path[:] = {folders!r}\nimport {', '.join(modules)}"
    done = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("hook", ["initramfs-tools/hooks/bootselect", "dracut/90bootselect/module-setup.sh"])
def test_the_hooks_read_paths_with_blanks(hook: str) -> None:
    text = (ROOT / "bootselect/integration" / hook).read_text()
    (loop,) = [line for line in text.splitlines() if "read -r source place" in line]
    program = f'{loop} echo "[$source][$place]"; done'
    shell = "sh" if text.startswith("#!/bin/sh") else "bash"
    done = subprocess.run([shell, "-c", program], input="/a b/c\t/d e\n", capture_output=True, text=True, check=True)
    assert done.stdout == "[/a b/c][/d e]\n"


def test_the_interpreter_and_its_extensions_are_left_for_the_hook(staged: tuple[Path, dict[str, str]]) -> None:
    _, left = staged
    assert Path(left["/usr/bin/python3"]) == Path(sys.executable).resolve()
    assert any(place.startswith(f"/{LIBRARY}/lib-dynload/") for place in left)


def test_staging_twice_gives_the_same_bytes_without_a_path_of_this_machine(tmp_path: Path) -> None:
    for name in ("one", "two"):
        staging.stage(tmp_path / name)
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.pyc")]
    assert len(files) > 30
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
        assert str(ROOT).encode() not in (tmp_path / "one" / file).read_bytes()
