"""What the readers see in a state of the tables, and which slots the selector would boot from there on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootselect.errors import BootselectError
from bootselect.policy import GPTPRIO
from bootselect.selection import select
from bootselect.slots import slot_type, slots_of
from gptlib import Disk, GptError
from qemu_tests.errors import JudgeError, JudgesDisagreeError
from qemu_tests.harness.judges import agree
from qemu_tests.replay.tables import write_image

if TYPE_CHECKING:
    from pathlib import Path

SLOTS = slot_type("coreos-usr")
_MANY = 40
"""Boots after which it is a loop: two slots have at most 15 tries each."""


PROVED, TRIED = "a proved slot boots", "a new slot is tried first"
LOST, NOTHING, LOOP = "the readers lose the table", "nothing boots", "a loop"
HALF, STORE = "a half-written slot can boot", "the variable store is lost"
GOOD, BAD = (PROVED, TRIED), (LOST, NOTHING, LOOP, HALF, STORE)
"""All that can be found of a state, in a few words: what may be, and what must not."""


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a state: ``found`` in a few words; ``problem`` in more, empty where all is well.

    ``booted`` are the numbers of the slots that the selector boots, one after another, when every slot that is not proved yet
    dies, up to the one that is known to boot. ``bootable`` are those and all others that it would ever boot as the table is,
    should those not work.
    """

    found: str
    problem: str
    booted: tuple[int, ...] = ()
    bootable: frozenset[int] = frozenset()


class Judges:
    """Verdicts on states of the tables; each different state is looked at once."""

    def __init__(self, size: int, folder: Path) -> None:
        """``size`` of the disk in bytes; ``folder`` takes an image."""
        self._size, self._path = size, folder / "replayed.raw"
        self._known: dict[bytes, Verdict] = {}

    @property
    def different(self) -> int:
        """How many different states there were."""
        return len(self._known)

    def verdict(self, state: bytes) -> Verdict:
        """What is to be said of the ends of a disk."""
        if state not in self._known:
            write_image(state, self._size, self._path)
            self._known[state] = self._look()
        return self._known[state]

    def _look(self) -> Verdict:
        try:
            agree(self._path)
            return self._boot()
        except (JudgesDisagreeError, JudgeError) as error:
            return Verdict(LOST, f"the readers: {error}")
        except (BootselectError, GptError) as error:
            return Verdict(NOTHING, f"the selector: {error}")

    def _boot(self) -> Verdict:
        with Disk.open(self._path) as disk:
            slots = slots_of(disk.table(), SLOTS)
        bits = {slot.number: slot.attributes for slot in slots}
        bootable = {number for number, a in bits.items() if a.successful or (a.tries and a.priority)}
        booted: list[int] = []
        while len(booted) < _MANY:
            with Disk.open(self._path, write=True) as disk:
                selection = select(disk, GPTPRIO, SLOTS)
                attributes = disk.table().partition(selection.number).attributes
            booted.append(selection.number)
            if attributes.successful:
                found = PROVED if len(booted) == 1 else TRIED
                return Verdict(found, "", tuple(booted), frozenset({*booted, *bootable}))
        return Verdict(LOOP, f"a loop: {booted[-3:]} over and over")
