"""The examples of the documents that build images, which takes the packages of a distribution."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qemu_tests.harness.hardware import Hardware
from qemu_tests.story.materials import GOOD
from qemu_tests.suites.test_command import BOOT_SECONDS, CTRL_A, User
from qemu_tests.suites.test_own_system import Own, updated_and_rolled_back
from tests.documentation import ROOT, blocks, steps

if TYPE_CHECKING:
    from qemu_tests.harness.lab import Lab
    from qemu_tests.plugin import MakeMachine
    from qemu_tests.story.materials import Materials

pytestmark = pytest.mark.vm


@pytest.mark.parametrize("document", [ROOT / "README.md", ROOT / "docs/image-builder.md"], ids=lambda path: path.name)
def test_the_examples_of_the_builder_run_one_after_the_other(document: Path, tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    wanted = [step for step in steps(document) if step.words[0] in {"image-builder", "printf"}]
    assert len(wanted) >= 3
    for step in wanted:
        done = subprocess.run(
            ["sh", "-c", step.command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (step.command, done.stderr)
    # What the document says that they make.
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"minimal.raw", "minimal_2_base.slot", "minimal_2_base.update"} <= made


@pytest.mark.skipif("SLOTBOOT_FULL" not in os.environ, reason="takes five minutes; script/test --full runs it")
def test_a_system_of_ones_own_is_made_and_updated_as_the_page_shows(
    slotboot_machines: MakeMachine, tmp_path: Path
) -> None:
    page = ROOT / "docs/your-own-system.md"
    definition, *_ = blocks(page, "toml")
    (tmp_path / "own.toml").write_text(definition)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for step in steps(page):
        if not step.by_root and step.words[0] != "bootlab":
            # The package is made of the checkout; all else may lie anywhere.
            package = step.words == ["script/package"]
            command = f"{ROOT}/script/package {tmp_path}/dist" if package else step.command
            done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, check=False)
            assert done.returncode == 0, command
    machine = slotboot_machines(tmp_path / "out/own.raw", "your-own-system", hardware=Hardware(memory=768))
    own = Own(tmp_path / "out/own.raw", tmp_path / "out/own_2_debian.update", tmp_path / "out/own_3_debian.update")
    updated_and_rolled_back(machine, own, {"USR-A": "/dev/dm-0 erofs", "USR-B": "/dev/dm-0 erofs"})


def test_the_example_of_the_builder_as_a_library_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("examples").symlink_to(ROOT / "examples")
    (block,) = [block for block in blocks(ROOT / "docs/libraries.md", "python") if "build_image" in block]
    Path("library.py").write_text(block)
    runpy.run_path("library.py")
    assert Path("out/minimal.raw").exists()


def test_the_example_of_the_harness_runs(
    materials: Materials, slotboot_machines: MakeMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("appliance.raw").symlink_to(materials.image)
    Path("appliance-2.update").symlink_to(materials.updates[GOOD])
    (block,) = blocks(ROOT / "docs/harness.md", "python")
    Path("example.py").write_text(f"from pathlib import Path\n\n\n{block}")
    (example,) = [value for name, value in runpy.run_path("example.py").items() if name.startswith("test_")]
    example(slotboot_machines)
    assert example.__name__ == "test_an_update_takes_over"


@pytest.mark.parametrize(
    "command",
    [step.command for step in steps(ROOT / "docs/harness.md") if "boot" in step.words and "--print" not in step.words],
)
def test_an_image_is_booted_by_hand_as_the_documents_show(
    command: str, materials: Materials, slotboot_lab: Lab, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/minimal.raw").symlink_to(materials.image)
    (tmp_path / "out/minimal_2_base.update").symlink_to(next(iter(materials.updates.values())))
    before = materials.image.stat().st_mtime_ns
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    words = command.partition("#")[0]
    user = User(
        ["env", f"PATH={path}", "sh", "-c", f"{words} --accel {slotboot_lab.accelerator.name}"],
        tmp_path,
        slotboot_lab.deadlines.seconds(BOOT_SECONDS),
    )
    try:
        user.sees("Leave with Ctrl-A X")
        user.sees("slotboot: booted slot=USR-A version=1")
        user.types(f"{CTRL_A}x")
        user.sees("QEMU: Terminated")
    finally:
        user.close()
    # What --snapshot is for.
    assert materials.image.stat().st_mtime_ns == before
