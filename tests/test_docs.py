"""The console blocks of all documents: what can run here runs and prints what they show; of the rest the words are tried."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from gptlib import __version__
from image_builder.definition.load import load_definition
from tests.documentation import DOCUMENTS, ROOT, Step, blocks, steps
from tests.support import run_tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import SlotImage

GROUPS = {
    "bootselect": "bootselect.cli.main",
    "updatectl": "update_agent.cli.main",
    "locksmithctl": "update_agent.cli.locksmithctl",
    "image-builder": "image_builder.cli.main",
    "bootlab": "qemu_tests.cli",
}
IMAGES = ("disk.raw", "out/minimal.raw", "out/demo/built/minimal.raw", "out/own.raw")
UPDATES = ("out/minimal_2_base.update", "out/own_2_debian.update")


@dataclass(frozen=True)
class Elsewhere:
    """Where a command is tried that cannot run here: a file, the words in it that call it, and why it is there."""

    where: str
    words: str
    why: str


FOREIGN = "qemu_tests/suites/test_foreign_initramfs.py"
BUILDER = "qemu_tests/suites/test_docs.py"
OUTSIDE = "qemu_tests/suites/test_outside.py"
PUBLISHING = "tests/update_agent/publish/test_docs.py"
FLEET = "tests/update_agent/test_updates_page.py"
PROJECT = "a project outside of the checkout, which boots machines"
DISTRIBUTION = "changes a Debian: done in a new one, which is booted"
PACKAGES = "takes the packages of a distribution"
ELSEWHERE = {
    "script/demo": Elsewhere(
        "qemu_tests/suites/test_story.py", "scenes.", "boots machines; the suite plays its scenes"
    ),
    "script/test": Elsewhere(".ci/run", "script/test", "runs this test"),
    "script/package": Elsewhere(FOREIGN, "script/package", "takes half a minute, and Debian's tools"),
    "pip": Elsewhere("tests/test_package.py", '"install", "--no-deps"', "needs a new environment"),
    "cp -r examples/testing": Elsewhere(OUTSIDE, "steps(PAGE)", PROJECT),
    "python3 -m venv": Elsewhere(OUTSIDE, "steps(PAGE)", PROJECT),
    "my-tests/images/debian.sh": Elsewhere(OUTSIDE, "steps(PAGE)", PROJECT),
    "my-tests/.venv/bin/pip": Elsewhere(OUTSIDE, "steps(PAGE)", PROJECT),
    "my-tests/.venv/bin/pytest": Elsewhere(OUTSIDE, "steps(PAGE)", PROJECT),
    "apt": Elsewhere(FOREIGN, "apt-get install", DISTRIBUTION),
    "update-initramfs": Elsewhere(FOREIGN, "update-initramfs -c", DISTRIBUTION),
    "dracut": Elsewhere(FOREIGN, "dracut --no-hostonly", DISTRIBUTION),
    "mmdebstrap": Elsewhere(BUILDER, "your-own-system.md", PACKAGES),
    "mkosi": Elsewhere(FOREIGN, '"mkosi", "--directory"', DISTRIBUTION),
    "bootselect integrate": Elsewhere(FOREIGN, "bootselect integrate dracut initramfs-tools", DISTRIBUTION),
    "bootselect status": Elsewhere(
        "qemu_tests/story/scenes.py", '"bootselect status"', "shows the machine that it runs on"
    ),
    "updatectl install": Elsewhere("qemu_tests/story/stage.py", "updatectl install", "writes the disk of the machine"),
    "locksmithctl": Elsewhere("tests/update_agent/lock/test_docs.py", "sessions()", "changes the lock of a fleet"),
    **{
        f"updatectl {verb}": Elsewhere(FLEET, "steps(place", "is about the machine that it runs on")
        for verb in ("check", "status", "history", "cancel", "resume", "config")
    },
    "mkdir lost": Elsewhere(
        "tests/update_agent/test_security_page.py", "steps(PAGE)", "moves a key that updatectl publish makes"
    ),
    "cp updates/metadata/1.root.json": Elsewhere(FLEET, "steps(place", "copies what updatectl publish makes"),
    "updatectl publish": Elsewhere(PUBLISHING, "steps(PAGE)", "takes what image-builder artifacts makes"),
    "mkdir -m 700 safe": Elsewhere(PUBLISHING, "steps(PAGE)", "for keys that updatectl publish makes"),
    "mv keys/root-1.pem": Elsewhere(PUBLISHING, "steps(PAGE)", "moves keys that updatectl publish makes"),
    "reboot": Elsewhere("qemu_tests/harness/machine/shell.py", "reboot -f", "reboots the machine"),
    "image-builder build": Elsewhere(BUILDER, '"image-builder"', PACKAGES),
    "image-builder artifacts": Elsewhere(BUILDER, '"image-builder"', PACKAGES),
    "image-builder initrd": Elsewhere(BUILDER, '"image-builder"', PACKAGES),
    "bootlab boot": Elsewhere(BUILDER, '"boot" in step.words', "boots a machine, with a person at its console"),
}
"""Words that a command begins with -> where it is tried."""
BY_ROOT_ALONE = {"bootselect integrate", "bootselect status", "updatectl install"}
"""These run here where a document shows them with an image or another root, which takes no root: ``$`` and not ``#``."""


def elsewhere(step: Step) -> Elsewhere | None:
    """Where a step that cannot run here is tried; None for one that can."""
    words = step.words
    if "--print" in words:
        return None
    for begin, place in ELSEWHERE.items():
        if words[: len(begin.split())] == begin.split() and (step.by_root or begin not in BY_ROOT_ALONE):
            return place
    return None


ALL = [(document, step) for document in DOCUMENTS for step in steps(document)]
HERE = [document for document in DOCUMENTS if any(elsewhere(step) is None for step in steps(document))]
NOT_HERE = [(document, step) for document, step in ALL if elsewhere(step)]


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
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "SLOTBOOT_CACHE": str(folder / "cache")},
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


@pytest.mark.slow
@pytest.mark.parametrize("document", HERE, ids=lambda path: path.name)
def test_the_console_examples_print_what_they_show(document: Path, place: Path) -> None:
    for step in steps(document):
        if elsewhere(step) is None:
            printed = run(step, place)
            if step.output:
                assert normalised(printed) == normalised(step.output), step


@pytest.mark.slow
@pytest.mark.parametrize(
    ("document", "step"), NOT_HERE, ids=lambda value: value.name if isinstance(value, Path) else " ".join(value.words)
)
def test_an_example_that_cannot_run_here_is_tried_elsewhere_and_has_its_words_right(
    document: Path, step: Step, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = elsewhere(step)
    assert tried is not None
    assert tried.words in (ROOT / tried.where).read_text(), document
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


@pytest.mark.parametrize("begin", ELSEWHERE)
def test_nothing_is_said_to_be_tried_elsewhere_that_no_document_shows(begin: str) -> None:
    assert [step for _, step in NOT_HERE if step.words[: len(begin.split())] == begin.split()]


def test_commands_of_root_are_never_run_here() -> None:
    assert [step for _, step in ALL if step.by_root]
    assert not [step for _, step in ALL if step.by_root and elsewhere(step) is None]


PYTHON = {
    "docs/gpt.md": "tests/gptlib/test_docs.py",
    "docs/libraries.md": "tests/test_docs.py",
    "docs/harness.md": BUILDER,
    "docs/testing-your-image.md": OUTSIDE,
}
"""Documents whose Python runs -> the test that runs it."""
DRAWN = {"mermaid", ""}


def test_every_block_of_code_is_run_by_some_test() -> None:
    for document in DOCUMENTS:
        languages = set(re.findall(r"^```(\w*)\n.*?^```$", document.read_text(), re.MULTILINE | re.DOTALL)) - DRAWN
        name = document.relative_to(ROOT).as_posix()
        if name in PYTHON:
            assert document.name in (ROOT / PYTHON[name]).read_text()
            languages -= {"python"}
        if name == "docs/initramfs.md":
            languages -= {"sh"}  # below
        assert languages <= {"console", "toml"}, name


def test_a_piece_of_a_definition_makes_one_with_the_rest_of_the_minimal_one(tmp_path: Path) -> None:
    for document in DOCUMENTS:
        for block in blocks(document, "toml"):
            if document.name in {"your-own-system.md", "update-settings.md", "updates.md"}:
                continue  # tests/test_your_own_system.py, tests/update_agent/test_manual.py, tests/update_agent/test_updates_page.py
            for source in re.findall(r'= "([^"/]*)"', block):
                (tmp_path / source).touch()
            path = tmp_path / "definition.toml"
            path.write_text(f"{(ROOT / 'examples/minimal.toml').read_text()}\n{block}")
            assert load_definition(path).slots, document


def test_the_call_of_the_selector_is_the_one_that_our_init_makes() -> None:
    (block,) = blocks(ROOT / "docs/initramfs.md", "sh")
    assert f"\n{block.strip()} ||" in (ROOT / "bootselect/initramfs/init").read_text()


def test_all_documents_with_console_blocks_are_tried() -> None:
    named = {document.name for document, _ in ALL}
    assert {"README.md", "gpt.md", "bootselect.md", "initramfs.md", "image-builder.md", "harness.md"} <= named
    number = sum(document.read_text().count("```console") for document in DOCUMENTS)
    assert number
    # Each block begins with a command.
    assert number == sum(len(re.findall(r"^```console\n[$#] ", d.read_text(), re.MULTILINE)) for d in DOCUMENTS)


def test_the_changelog_has_each_heading_once() -> None:
    for version in re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]:
        headings = re.findall(r"^### (\w+)$", version, re.MULTILINE)
        kinds = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
        assert headings == [kind for kind in kinds if kind in headings]


def test_the_files_that_are_installed_have_the_version_of_today() -> None:
    for name in ("installing.md", "your-own-system.md"):
        named = re.findall(r"slotboot[-_](\d[\d.]*\d)", (ROOT / "docs" / name).read_text())
        assert named
        assert set(named) == {__version__}
