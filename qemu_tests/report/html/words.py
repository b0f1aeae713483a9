"""Words and numbers that several parts of the page show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qemu_tests.report.model import CUT, DIED, FAILED, HEALTHY, OFF, POWEROFF, REBOOT, RUNNING

if TYPE_CHECKING:
    from qemu_tests.report.model import Boot, Machine

ENDINGS = {
    REBOOT: "rebooted",
    POWEROFF: "switched off",
    CUT: "power cut",
    DIED: "QEMU died",
    "host-qmp-system-reset": "reset",
    "panic": "panicked",
    OFF: "switched off by the harness",
    RUNNING: "still running",
}
OUTCOMES = {HEALTHY: "healthy", FAILED: "failed", "unknown": "no greeting seen"}


def seconds(time: float) -> str:
    """``12.3 s``, or minutes from ten minutes on."""
    if time < 600:
        return f"{time:.1f}\u00a0s"
    minutes, rest = divmod(round(time), 60)
    return f"{minutes}\u00a0min {rest:02}\u00a0s"


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 boot``, ``12,345 states``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def headline(boot: Boot) -> str:
    """A boot in a line: ``boot 3 of USR-A, version 3: failed, rebooted, 12.3 s``."""
    of = f" of {boot.slot}" if boot.slot else ""
    version = f", version {boot.version}" if boot.version else ""
    length = "" if boot.end is None else f", {seconds(boot.end - boot.begin)}"
    return f"boot {boot.number}{of}{version}: {OUTCOMES[boot.outcome]}, {ENDINGS.get(boot.ending, boot.ending)}{length}"


def cut(boot: Boot) -> bool:
    """Whether a power cut ended it."""
    return boot.ending == CUT


def slot_labels(machine: Machine) -> list[str]:
    """All slots that the machine had or booted, in the order of the partitions; an empty one for boots of none known."""
    labels: dict[str, None] = {}
    for boot in machine.boots:
        for table in (boot.before, boot.after):
            labels.update(dict.fromkeys(slot.label for slot in (table.slots if table else ())))
    labels.update(dict.fromkeys(boot.slot for boot in machine.boots if boot.slot))
    if any(not boot.slot for boot in machine.boots):
        labels[""] = None
    return list(labels)
