"""What the suites share: the built image and updates, and the disk that has taken the good update."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qemu_tests.harness.hardware import DirectKernel, Hardware
from qemu_tests.harness.machine.frozen import Frozen
from qemu_tests.harness.shared import shared_result
from qemu_tests.harness.unpack import kernel_of
from qemu_tests.story import scenes
from qemu_tests.story.materials import GOOD, Materials, build_materials
from qemu_tests.story.network.system import agent_tarball
from qemu_tests.story.reporting import report_to
from qemu_tests.story.stage import Stage
from qemu_tests.story.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from qemu_tests.harness.lab import Lab
    from qemu_tests.harness.machine import Machine
    from qemu_tests.plugin import MakeMachine
    from qemu_tests.report.recorder import Recorder
    from qemu_tests.scopes import ScopeMachines
    from qemu_tests.story.timeline import Moment

    MakeStage = Callable[..., Stage]

DEFINITION = Path(__file__).parents[2] / "examples" / "minimal.toml"


@pytest.fixture(scope="session")
def materials(slotboot_folder: Path) -> Materials:
    """The image and the updates of the story, built once for all workers."""

    def build() -> dict[str, str]:
        return build_materials(DEFINITION, slotboot_folder / "built").to_json()

    return Materials.from_json(shared_result(slotboot_folder, "materials", build))


@pytest.fixture(scope="session")
def agent_debian(slotboot_folder: Path) -> Path:
    """A Debian with the agent, as a tar archive, made once for all workers."""
    return Path(shared_result(slotboot_folder, "debian-agent", lambda: str(agent_tarball())))


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
def stage(slotboot_machines: ScopeMachines, quick_machines: MakeMachine, slotboot_recorder: Recorder) -> MakeStage:
    """Make a stage: a machine of the given name that is switched off, on a disk that starts as the given image.

    ``quick``: without UEFI firmware. ``warm``: its first boot goes on from there.
    """

    def make(name: str, image: Path, *, quick: bool = False, warm: Frozen | None = None) -> Stage:
        if warm is not None:
            machine = slotboot_machines.woken(warm, name)
        else:
            machine = (quick_machines if quick else slotboot_machines)(image, name)
        return Stage(machine, Timeline(observer(machine.log, slotboot_recorder)), warm)

    return make


@pytest.fixture
def quick_machines(slotboot_machines: MakeMachine, tmp_path: Path) -> MakeMachine:
    """As ``slotboot_machines``, where firmware is not what is tested: the image's own kernel is started without it."""

    def make(image: Path, name: str, hardware: Hardware | None = None) -> Machine:
        firmware = kernel_of(image, tmp_path / f"kernel-of-{image.stem}")
        return slotboot_machines(image, name, replace(hardware or Hardware(), firmware=firmware))

    return make


def _frozen(lab: Lab, name: str, image: Path, medium: Path, folder: Path) -> dict[str, Any]:
    with lab.machine(name, image) as machine:
        machine.boot(medium=medium)
        machine.wait_until_ready()
        return machine.suspend(folder).to_json()


@pytest.fixture(scope="session")
def fresh_up(slotboot_folder: Path, slotboot_lab: Lab, materials: Materials) -> Frozen:
    """The default image, booted under UEFI and up, with the good update at hand: where tests begin that do not look at the boot."""

    def play() -> dict[str, Any]:
        return _frozen(slotboot_lab, "fresh-up", materials.image, materials.updates[GOOD], slotboot_folder / "fresh-up")

    return Frozen.from_json(shared_result(slotboot_folder, "fresh-up", play), slotboot_lab.hardware)


@pytest.fixture(scope="session")
def updated_up(slotboot_folder: Path, slotboot_lab: Lab, materials: Materials, updated_disk: Path) -> Frozen:
    """The updated disk in the same way, with version 3 at hand, which is never healthy."""

    def play() -> dict[str, Any]:
        medium = materials.updates["unhealthy"]
        return _frozen(slotboot_lab, "updated-up", updated_disk, medium, slotboot_folder / "updated-up")

    return Frozen.from_json(shared_result(slotboot_folder, "updated-up", play), slotboot_lab.hardware)


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
