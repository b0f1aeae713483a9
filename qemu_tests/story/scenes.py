"""The scenes. Each takes a stage, plays, and leaves the machine switched off unless it says otherwise.

Version 1 is in USR-A of a freshly built disk, version 2 is the good update, version 3 a broken one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.harness.disk.faults import CutAt
from qemu_tests.story import timeline as kinds
from qemu_tests.story.stage import UPDATE_DEVICE, Expected

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.harness.hardware import DirectKernel
    from qemu_tests.story.stage import Stage

FRESH = {"USR-A": "1/0/1", "USR-B": "0/0/0"}
ARMED = {"USR-A": "1/0/1", "USR-B": "2/3/0"}
UPDATED = {"USR-A": "1/0/1", "USR-B": "2/0/1"}
_ONE, _TWO, _TWO_TRIED = Expected("USR-A", "1", 0), Expected("USR-B", "2", 0), Expected("USR-B", "2", 2)


@dataclass(frozen=True)
class Breakage:
    """A way in which version 3 is broken: its name in ``broken_slots``, and the console line that shows it."""

    name: str
    symptom: str
    words: str


BREAKAGES = (
    Breakage("panic", r"Kernel panic - not syncing: sysrq", "the kernel panics"),
    Breakage("init-exit", r"Kernel panic - not syncing: Attempted to kill init", "init exits"),
    Breakage("unhealthy", r"slotboot: health check failed: \S+", "the health check fails"),
)


def first_boot(stage: Stage, medium: Path) -> None:
    """A freshly built disk boots from USR-A. Leaves the machine running, with the update of ``medium`` at hand."""
    stage.tell(kinds.SCENE, "a freshly built disk boots from USR-A")
    stage.disk(FRESH, "as built")
    stage.boot("power on", medium=medium)
    stage.up(_ONE)
    stage.disk(FRESH, "nothing to account for: version 1 is known to boot")


def update(stage: Stage) -> None:
    """After ``first_boot``: version 2 goes into the passive slot, is armed, tried, found healthy and marked good."""
    stage.tell(kinds.SCENE, "version 2 is installed from inside, armed, tried and marked good")
    stage.install()
    stage.disk(ARMED, "installed and armed with 3 tries")
    stage.reboot()
    stage.disk(ARMED, "between the boots")
    stage.resume("the first of 3 tries")
    stage.up(_TWO_TRIED)
    stage.disk(UPDATED, "marked good, as in the article")
    stage.reboot()
    stage.resume("once more, to see that it stays")
    stage.up(_TWO)
    stage.power_off()
    stage.disk(UPDATED, "version 2 is here to stay")


def broken_update(stage: Stage, medium: Path, breakage: Breakage) -> None:
    """On an updated disk: version 3 is broken, is tried three times, and version 2 comes back by itself."""
    stage.tell(kinds.SCENE, f"version 3 is broken: {breakage.words}")
    stage.boot("power on", medium=medium)
    stage.up(_TWO)
    stage.install()
    stage.disk({"USR-A": "2/3/0", "USR-B": "1/0/1"}, "version 3 is installed and armed")
    stage.reboot()
    for left in (2, 1, 0):
        stage.resume(f"try {3 - left} of 3")
        stage.machine.wait_for_line(breakage.symptom)
        stage.check("selector's choice", [("USR-A", "3")], stage.selected())
        boundary = stage.machine.wait_for_boundary()
        stage.check("end of the boot", "reboot", boundary.kind)
        stage.tell(kinds.FAILED, f"USR-A: {breakage.words}; the machine reboots by itself")
        stage.disk({"USR-A": f"2/{left}/0", "USR-B": "1/0/1"}, f"{left} {'try' if left == 1 else 'tries'} left")
    stage.resume("nobody did anything")
    stage.up(_TWO)
    rolled_back(stage)
    stage.power_off()
    stage.disk({"USR-A": "2/0/0", "USR-B": "1/0/1"}, "rolled back")


def rolled_back(stage: Stage) -> None:
    """The running system says that USR-A was rolled back, to people and to programs."""
    slots = stage.status()
    stage.check("state of USR-A in 'bootselect status --json'", "rolled back", slots["USR-A"]["state"])
    stage.check("state of USR-B in 'bootselect status --json'", "good", slots["USR-B"]["state"])
    shown = next(line for line in stage.order("bootselect status").splitlines() if "USR-A" in line)
    stage.check(
        "'rolled back' in the line of USR-A of 'bootselect status'", expected=True, found="rolled back" in shown
    )
    stage.tell(kinds.ORDER, f"bootselect status: {' '.join(shown.split())}")


def cut_while_writing(stage: Stage, medium: Path) -> None:
    """On an updated disk: the power fails while a slot is being written. That slot is not bootable, the other is."""
    cut_disk = {"USR-A": "0/0/0", "USR-B": "2/0/1"}
    stage.tell(kinds.SCENE, "the power fails while a slot is being written")
    stage.boot("power on", medium=medium)
    stage.up(_TWO)
    stage.machine.order(f"updatectl install {UPDATE_DEVICE} >/dev/console 2>&1")
    stage.machine.wait_for_line(r"writing: [5-7]\d %")
    stage.power_cut("half of version 3 is written")
    stage.disk(cut_disk, "the half-written slot was cleared first")
    stage.boot("power is back", medium=medium)
    stage.up(_TWO)
    stage.disk(cut_disk, "on the good slot")
    stage.install()
    stage.disk({"USR-A": "2/3/0", "USR-B": "1/0/1"}, "the installation can simply be repeated")
    stage.power_off()


def cut_after_arm(stage: Stage, medium: Path) -> None:
    """On a fresh disk: the power fails right after the arm. The update is on the disk to stay."""
    stage.tell(kinds.SCENE, "the power fails right after the arm")
    stage.boot("power on", medium=medium)
    stage.up(_ONE)
    stage.install()
    stage.power_cut("the installation has just ended")
    stage.disk(ARMED, "the arm was flushed")
    stage.boot("power is back")
    stage.up(_TWO_TRIED)
    stage.disk(UPDATED, "marked good")
    stage.power_off()


def cut_within_arm(stage: Stage, medium: Path, sector: int, *, armed: bool, kernel: DirectKernel | None = None) -> None:
    """On a fresh disk: the power fails just before ``sector`` is written for the arm, which then is ``armed`` or not.

    Either way the machine boots a good slot, and the next write makes the table whole. With ``kernel`` it comes back without
    UEFI firmware, which would restore a damaged copy itself.
    """
    stage.tell(kinds.SCENE, f"the power fails within the arm, before sector {sector} is written")
    stage.boot("power on", medium=medium, faults=[CutAt(sector)])
    stage.up(_ONE)
    stage.machine.order(f"updatectl install {UPDATE_DEVICE}")
    stage.machine.wait_for_freeze()
    stage.power_cut(f"sector {sector} would have been written now")
    stage.disk(ARMED if armed else FRESH, "torn, but the same for all readers", torn=True)
    stage.boot("power is back", kernel=kernel)
    stage.up(_TWO_TRIED if armed else _ONE)
    if kernel is not None:
        _seen_by_selector(stage, "primary")
    stage.disk(UPDATED if armed else FRESH, "whole again")
    stage.power_off()


def damaged_table(stage: Stage, kernel: DirectKernel | None = None) -> None:
    """On an updated disk: the primary GPT is destroyed, later the backup. It boots each time and is repaired.

    UEFI firmware restores a destroyed copy itself, before anything of ours runs. With ``kernel`` there is no UEFI: the
    selector boots from the copy that is left, and the next write repairs the other one.
    """
    sectors = stage.machine.disk.size // 512
    for copy, first in (("primary", 1), ("backup", sectors - 33)):
        stage.tell(kinds.SCENE, f"the {copy} GPT is destroyed between two boots")
        stage.machine.disk.write_zeros(first * 512, 33 * 512)
        stage.tell(kinds.DAMAGE, f"header and entries of the {copy} are zeros")
        stage.disk(UPDATED, f"the {copy} is gone, the other copy is read", damaged=copy)
        stage.boot("power on", kernel=kernel)
        stage.up(_TWO)
        if kernel is not None:
            _seen_by_selector(stage, copy)
        elif not stage.complaints(copy):
            stage.tell(kinds.UP, "the firmware had restored it before the selector looked")
        stage.disk(UPDATED, f"the {copy} is whole again")
        stage.power_off()
        stage.disk(UPDATED, "whole")


def _seen_by_selector(stage: Stage, copy: str) -> None:
    found = stage.complaints(copy)
    stage.check(f"complaint of the selector about the {copy}", expected=True, found=bool(found))
    stage.tell(kinds.UP, f"the selector said: {found[0].removeprefix('bootselect: ')}")


def damaged_while_running(stage: Stage) -> None:
    """On an updated disk: a copy of the GPT is destroyed under the running system. Its next write repairs it."""
    sectors = stage.machine.disk.size // 512
    stage.tell(kinds.SCENE, "each copy of the GPT is destroyed under the running system")
    stage.boot("power on")
    stage.up(_TWO)
    for copy, first in (("primary", 1), ("backup", sectors - 33)):
        stage.order(f"dd if=/dev/zero of=/dev/vda bs=512 seek={first} count=33 conv=fsync")
        stage.tell(kinds.DAMAGE, f"header and entries of the {copy} are zeros")
        stage.disk(UPDATED, f"the {copy} is gone, the other copy is read", damaged=copy)
        stage.order("bootselect mark-good")
        stage.disk(UPDATED, "a write that changes nothing else repaired it")
    stage.power_off()
