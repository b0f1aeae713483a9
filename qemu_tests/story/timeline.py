"""What happens in a story, moment by moment, for whoever watches."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gptlib.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SCENE, BOOT, UP, ORDER, FAILED, BOUNDARY, CUT, DAMAGE, DISK = (
    "scene",
    "boot",
    "up",
    "order",
    "failed",
    "boundary",
    "power cut",
    "damage",
    "disk",
)
"""Kinds of moments: a scene begins; power comes on or the guest boots again; a slot is up, healthy and marked good; the slot
got an order; a boot failed; the guest ended its boot; the power was cut; the disk was damaged; the judges read the disk."""


@dataclass(frozen=True)
class Moment:
    """``seconds`` since the story began; ``slots`` is label -> ``P/T/S`` as all judges read it, where they did."""

    seconds: float
    machine: str
    kind: str
    text: str
    slots: Mapping[str, str] | None = None

    def __str__(self) -> str:
        disk = "" if self.slots is None else "  " + "  ".join(f"{label} {bits}" for label, bits in self.slots.items())
        return printable(f"{self.seconds:7.1f} s  {self.machine:<16}  {self.kind:<9}  {self.text}{disk}")


class Timeline:
    """Tells an observer, in order, and remembers."""

    def __init__(
        self, observer: Callable[[Moment], None] = lambda _: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.moments: list[Moment] = []
        self._observer, self._clock = observer, clock
        self._begin = clock()

    def tell(self, machine: str, kind: str, text: str, slots: Mapping[str, str] | None = None) -> None:
        """Something happened now."""
        moment = Moment(self._clock() - self._begin, machine, kind, text, slots)
        self.moments.append(moment)
        self._observer(moment)
