"""What the suites share: the built image and updates, and the disk that has taken the good update."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qemu_tests.harness.hardware import DirectKernel
from qemu_tests.harness.shared import shared_result
from qemu_tests.harness.unpack import kernel_of
from qemu_tests.story import scenes
from qemu_tests.story.materials import GOOD, Materials, build_materials
from qemu_tests.story.reporting import report_to
from qemu_tests.story.stage import Stage
from qemu_tests.story.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from qemu_tests.harness.lab import Lab
    from qemu_tests.plugin import MakeMachine
    from qemu_tests.report.recorder import Recorder
    from qemu_tests.story.timeline import Moment

    MakeStage = Callable[[str, Path], Stage]

DEFINITION = Path(__file__).parents[2] / "examples" / "minimal.toml"


@pytest.fixture(scope="session")
def materials(slotboot_folder: Path) -> Materials:
    """The image and the updates of the story, built once for all workers."""

    def build() -> dict[str, str]:
        return build_materials(DEFINITION, slotboot_folder / "built").to_json()

    return Materials.from_json(shared_result(slotboot_folder, "materials", build))


def observer(log: Path, recorder: Recorder) -> Callable[[Moment], None]:
    """Write the timeline beside the console log, where pytest shows it when a test fails, and into the report."""
    told = report_to(recorder)
    target = log.with_name(log.name.replace(".console.log", ".timeline.txt"))
    target.write_text("")

    def observe(moment: Moment) -> None:
        told(moment)
        sys.stdout.write(f"{moment}\n")
        with target.open("a") as file:
            file.write(f"{moment}\n")

    return observe


@pytest.fixture(scope="session")
def kernel(slotboot_folder: Path, materials: Materials) -> DirectKernel:
    """The kernel of the image with its initramfs, to boot it without UEFI firmware."""

    def take_out() -> list[str]:
        found = kernel_of(materials.image, slotboot_folder / "kernel")
        return [str(found.kernel), str(found.initramfs), found.command_line]

    kernel, initramfs, command_line = shared_result(slotboot_folder, "kernel", take_out)
    return DirectKernel(Path(kernel), Path(initramfs), command_line)


@pytest.fixture
def stage(slotboot_machines: MakeMachine, slotboot_recorder: Recorder) -> MakeStage:
    """Make a stage: a machine of the given name that is switched off, on a disk that starts as the given image."""

    def make(name: str, image: Path) -> Stage:
        machine = slotboot_machines(image, name)
        return Stage(machine, Timeline(observer(machine.log, slotboot_recorder)))

    return make


@pytest.fixture(scope="session")
def updated_disk(slotboot_folder: Path, slotboot_lab: Lab, slotboot_recorder: Recorder, materials: Materials) -> Path:
    """A disk that took the good update: 1/0/1 and 2/0/1, frozen. The first worker that needs it plays how it came so."""

    def play() -> str:
        with slotboot_lab.machine("good-update", materials.image) as machine:
            stage = Stage(machine, Timeline(observer(machine.log, slotboot_recorder)))
            scenes.first_boot(stage, materials.updates[GOOD])
            scenes.update(stage)
            return str(machine.disk.export(slotboot_folder / "updated-disk.raw"))

    return Path(shared_result(slotboot_folder, "updated-disk", play))
