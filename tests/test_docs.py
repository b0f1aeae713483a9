"""The console blocks of all documents: what can run here runs and prints what they show; of the rest the words are tried."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from tests.documentation import DOCUMENTS, ROOT, Step, blocks, steps
from tests.support import run_tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import SlotImage

GROUPS = {
    "bootselect": "bootselect.cli.main",
    "updatectl": "update_agent.cli",
    "image-builder": "image_builder.cli",
    "bootlab": "qemu_tests.cli",
}
IMAGES = ("disk.raw", "out/minimal.raw", "out/demo/built/minimal.raw")
UPDATES = ("out/minimal-2.update",)
ELSEWHERE = {
    "update-initramfs": "qemu_tests/suites/test_foreign_initramfs.py",
    "pip": "tests/test_package.py",
    "apt": "qemu_tests/suites/test_foreign_initramfs.py",
    "dracut": "qemu_tests/suites/test_foreign_initramfs.py",
    "mkosi": "qemu_tests/suites/test_foreign_initramfs.py",
    "reboot": "qemu_tests/suites/test_story.py",
    "image-builder build": "qemu_tests/suites/test_docs.py",
    "image-builder artifacts": "qemu_tests/suites/test_docs.py",
    "image-builder initrd": "qemu_tests/suites/test_docs.py",
    "bootlab boot": "qemu_tests/suites",
}
"""What needs root, packages of a distribution or a virtual machine -> where it is tried."""


def where_it_runs(step: Step) -> str | None:
    """The place where a step that cannot run here is tried; None for one that can."""
    words = step.words
    if "--print" in words:
        return None
    for begin, where in ELSEWHERE.items():
        if words[: len(begin.split())] == begin.split():
            return where
    if words[0].startswith("script/"):
        return words[0]
    return "bootselect" if step.by_root else None


ALL = [(document, step) for document in DOCUMENTS for step in steps(document)]
HERE = [document for document in DOCUMENTS if any(where_it_runs(step) is None for step in steps(document))]
NOT_HERE = [(document, step) for document, step in ALL if where_it_runs(step)]


@pytest.fixture
def place(tmp_path: Path, slot_image: Callable[..., SlotImage]) -> Path:
    """A folder like a checkout, with images of two slots where the documents have them."""
    folder = tmp_path / "checkout"
    image = slot_image((1, 0, 1), (2, 3, 0)).path
    for name in (*IMAGES, *UPDATES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, folder / name)
    for name in ("examples", "script"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def run(step: Step, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", step.command],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), step
    return done.stdout


def normalised(text: str) -> str:
    """Without what differs between machines: versions of Python, and the folders that its files come from, and their order."""
    text = re.sub(r"python3\.\d+", "python3.X", text)
    text = re.sub(r"cpython-3\d+", "cpython-3X", text)
    staged = re.sub(r"^/.*/(?=[^/\t]+\t/)", ".../", text, flags=re.MULTILINE)
    return text if staged == text else "".join(sorted(staged.splitlines(keepends=True)))


@pytest.mark.parametrize("document", HERE, ids=lambda path: path.name)
def test_the_console_examples_print_what_they_show(document: Path, place: Path) -> None:
    for step in steps(document):
        if where_it_runs(step) is None:
            printed = run(step, place)
            if step.output:
                assert normalised(printed) == normalised(step.output), step


@pytest.mark.parametrize(
    ("document", "step"), NOT_HERE, ids=lambda value: value.name if isinstance(value, Path) else " ".join(value.words)
)
def test_an_example_that_cannot_run_here_is_tried_elsewhere_and_has_its_words_right(
    document: Path, step: Step, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = where_it_runs(step)
    assert where is not None
    assert (ROOT / where).exists(), document
    program, *words = step.words
    if program in GROUPS:
        monkeypatch.chdir(place)
        group = import_module(GROUPS[program]).main
        # Takes the words apart as a call does, and calls nothing.
        context = group.make_context(program, list(words))
        name, command, rest = group.resolve_command(context, list(words))
        assert isinstance(command, click.Command)
        command.make_context(name, rest, parent=context)
    elif program.startswith("script/"):
        help_text = subprocess.run([ROOT / program, "--help"], capture_output=True, text=True, check=True).stdout
        assert {word for word in words if word.startswith("-")} <= set(re.findall(r"--\w+", help_text))


def test_the_python_examples_of_the_libraries_run_one_after_the_other(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    run_tool("cgpt", "add", "-i", "4", "-P", "0", "-T", "0", "-S", "0", "disk.raw")
    found = [block for block in blocks(ROOT / "docs/libraries.md", "python") if "build_image" not in block]
    assert len(found) >= 4
    Path("libraries.py").write_text("\n".join(found))
    runpy.run_path("libraries.py")
    assert run_tool("cgpt", "show", "-i", "4", "-T", "disk.raw") == "2\n"


def test_all_documents_with_console_blocks_are_tried() -> None:
    named = {document.name for document, _ in ALL}
    assert {"README.md", "gpt.md", "bootselect.md", "initramfs.md", "image-builder.md", "harness.md"} <= named
    number = sum(document.read_text().count("```console") for document in DOCUMENTS)
    assert number
    # Each block begins with a command.
    assert number == sum(len(re.findall(r"^```console\n[$#] ", d.read_text(), re.MULTILINE)) for d in DOCUMENTS)
