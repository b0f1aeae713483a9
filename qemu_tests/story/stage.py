"""A machine on the stage: acts, checks what must be true after each act, and tells the timeline."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bootselect.formats.decision import DECISION_PATH
from qemu_tests.errors import StoryError
from qemu_tests.story import timeline as kinds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from qemu_tests.harness.control import Ready
    from qemu_tests.harness.disk.faults import Fault
    from qemu_tests.harness.hardware import DirectKernel
    from qemu_tests.harness.machine import Machine
    from qemu_tests.harness.machine.frozen import Frozen
    from qemu_tests.story.timeline import Timeline

UPDATE_DEVICE = "/dev/vdb"
SELECTED = r"bootselect: booting slot (\S+) .*version ([^),]+)"


@dataclass(frozen=True)
class Expected:
    """A slot that should be up: its label, its version, and the tries that the boot selector left it."""

    label: str
    version: str
    tries: int


class Stage:
    """Wraps a machine. Everything raises StoryError, with the last console lines, when it is not as promised."""

    def __init__(self, machine: Machine, timeline: Timeline, warm: Frozen | None = None) -> None:
        """With ``warm`` the first boot goes on from there: a boot of the same disk, up already."""
        self.machine, self._timeline = machine, timeline
        self._warm, self._woken = warm, False

    def tell(self, kind: str, text: str, slots: Mapping[str, str] | None = None) -> None:
        """Tell the timeline."""
        self._timeline.tell(self.machine.name, kind, text, slots)

    def check(self, what: str, expected: object, found: object) -> None:
        """Raise StoryError unless both are equal."""
        if expected != found:
            where = f"machine {self.machine.name}, boot {self.machine.boots}: {what}"
            raise StoryError(where, str(expected), str(found), self.machine.tail, self.machine.log)

    def boot(
        self,
        reason: str,
        *,
        medium: Path | None = None,
        faults: Sequence[Fault] = (),
        kernel: DirectKernel | None = None,
    ) -> None:
        """Switch on; with ``kernel`` without UEFI firmware."""
        self.tell(kinds.BOOT, reason if kernel is None else f"{reason}, without UEFI firmware")
        warm, self._warm = self._warm, None
        self._woken = warm is not None
        if warm is not None:
            self.machine.wake(warm, medium=medium, faults=faults, reason=reason)
        else:
            self.machine.boot(medium=medium, faults=faults, kernel=kernel, reason=reason)

    def resume(self, reason: str) -> None:
        """Let the guest boot again after a boundary."""
        self.tell(kinds.BOOT, reason)
        self._woken = False
        self.machine.resume(reason)

    def up(self, expected: Expected) -> Ready:
        """Wait for the greeting of this slot; its own tools, its os-release and the selector's decision agree on it."""
        ready = self.machine.wait_until_ready()
        self.check("the slot that greets", (expected.label, expected.version), (ready.label, ready.version))
        if not self._woken:
            self.check("selector's choice on the console", [(expected.label, expected.version)], self.selected())
        release = self.order("cat /etc/os-release")
        found = re.search(r'^VERSION="?([^"\s]*)', release, re.MULTILINE)
        self.check("VERSION in /etc/os-release", expected.version, found.group(1) if found else release)
        decision = json.loads(self.order(f"cat {DECISION_PATH}"))
        self.check("label in decision.json", expected.label, decision["label"])
        self.check("tries left in decision.json", expected.tries, decision["tries"])
        left = f", {expected.tries} tries left when it started" if expected.tries else ""
        self.tell(kinds.UP, f"{ready.label} is up with version {ready.version}{left}; healthy")
        return ready

    def selected(self) -> list[tuple[str, str]]:
        """Label and version of every slot that the selector of this boot chose, from the console."""
        console = self.machine.console
        return [(match.group(1), match.group(2)) for match in console.find_all(SELECTED, console.boot_mark)]

    def complaints(self, about: str) -> list[str]:
        """What the selector of this boot complained of, from the console."""
        pattern = rf"bootselect: (?:error|warning): {about}: .*"
        console = self.machine.console
        return [match.group() for match in console.find_all(pattern, console.boot_mark)]

    def order(self, command: str, seconds: float | None = None) -> str:
        """The output of a shell command in the slot, which must succeed."""
        result = self.machine.run(command, seconds)
        self.check(f"exit code of {command!r} (it said: {result.output.strip()})", 0, result.exit)
        return result.output

    def install(self) -> None:
        """Install the update of the second drive."""
        said = self.order(f"updatectl install {UPDATE_DEVICE}").strip().splitlines()
        self.tell(kinds.ORDER, f"updatectl install {UPDATE_DEVICE}: {said[-1] if said else 'done'}")

    def status(self) -> dict[str, dict[str, Any]]:
        """Label -> slot, of ``bootselect status --json`` in the slot."""
        answer = json.loads(self.order("bootselect status --json"))
        return {slot["label"]: slot for slot in answer["slots"]}

    def reboot(self) -> None:
        """Order a reboot, and hold the machine at the boundary."""
        self.machine.reboot()
        self.tell(kinds.BOUNDARY, "reboot ordered; held at the boundary")

    def power_off(self) -> None:
        """Shut down."""
        self.machine.power_off()
        self.tell(kinds.BOUNDARY, "switched off")

    def power_cut(self, when: str) -> None:
        """Cut the power."""
        self.machine.power_cut()
        self.tell(kinds.CUT, when)

    def disk(self, expected: Mapping[str, str], when: str, *, damaged: str = "", torn: bool = False) -> None:
        """All judges read these slots, and the table is whole.

        Unless it is ``damaged`` (``primary``, ``backup``), there only and seen by all, or ``torn`` in any way.
        """
        verdict = self.machine.judge(whole=not damaged and not torn)
        self.tell(kinds.DISK, when, verdict.slots)
        self.check(f"slots on the disk ({when})", dict(expected), dict(verdict.slots))
        if damaged:
            found = " ".join(verdict.problems)
            judges = {judge for judge in ("sgdisk", "cgpt", "gptlib") if f"{judge}:" in found}
            self.check("judges that see the damage", {"sgdisk", "cgpt", "gptlib"}, judges)
            self.check(
                "copies that gptlib finds damaged", {damaged}, set(re.findall(r"error: (primary|backup)", found))
            )
