"""What a run is: machines with their boots, what happened to them, and the states of a replay. Frozen values, no behaviour.

All times are seconds since the run began. Texts are as they came: whoever shows them must take them for hostile.
Illegal values raise ValueError when they are made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from gptlib.table.attributes import short_form

FORMAT, VERSION = "slotboot report", 1
HEALTHY, FAILED, UNKNOWN = "healthy", "failed", "unknown"
"""Outcomes of a boot: a slot was up, healthy and marked good; it failed; nothing was seen that says either."""
REBOOT, POWEROFF, CUT, DIED, OFF, RUNNING = "reboot", "poweroff", "power cut", "died", "off", ""
"""Endings of a boot: by the guest, by a power cut, QEMU died, the harness switched it off; it has not ended."""
SCENE, DISK, DAMAGE, FAULT, ERROR = "scene", "disk", "damage", "fault", "error"
"""Kinds of events that are drawn in their own way, beside ``power cut``; others are just told."""
FAULTS = frozenset({CUT, DAMAGE, FAULT})
"""Kinds of events that somebody caused in order to see what happens."""
_PNG = b"\x89PNG\r\n\x1a\n"


def _check_time(*times: float | None) -> None:
    for time in times:
        if time is not None and not (math.isfinite(time) and time >= 0):
            raise ValueError(f"{time} is not a number of seconds since the run began")


@dataclass(frozen=True)
class Slot:
    """A slot as it stands in a partition table; ``partition`` is its number, where it is known."""

    label: str
    priority: int
    tries: int
    successful: bool
    partition: int | None = None

    def __post_init__(self) -> None:
        for name in ("priority", "tries"):
            if not 0 <= getattr(self, name) <= 15:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be between 0 and 15")

    @property
    def attributes(self) -> str:
        """``P/T/S``."""
        return short_form(self.priority, self.tries, self.successful)


@dataclass(frozen=True)
class Table:
    """The slots on a disk, who read them, and what is wrong with the partition table."""

    slots: tuple[Slot, ...] = ()
    readers: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Event:
    """Something that happened to a machine; with a ``table`` where the disk was read."""

    at: float
    kind: str
    text: str
    table: Table | None = None

    def __post_init__(self) -> None:
        _check_time(self.at)


@dataclass(frozen=True)
class Screenshot:
    """What a display showed. ``text`` says it in words, for those who do not see it."""

    at: float
    text: str
    png: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_time(self.at)
        if not self.png.startswith(_PNG):
            raise ValueError(f"a screenshot is not a PNG: it begins with {self.png[:8]!r}")


@dataclass(frozen=True)
class Boot:
    """From power or reset to the next. ``up`` is when the slot was up; ``slot`` and ``version`` are empty where unknown.

    ``before`` and ``after`` are the slots at its beginning and at its end; ``console`` is what the serial port sent.
    """

    number: int
    reason: str
    begin: float
    end: float | None = None
    up: float | None = None
    slot: str = ""
    version: str = ""
    outcome: str = UNKNOWN
    ending: str = RUNNING
    before: Table | None = None
    after: Table | None = None
    console: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        _check_time(self.begin, self.end, self.up)
        if self.outcome not in {HEALTHY, FAILED, UNKNOWN}:
            raise ValueError(f"the outcome {self.outcome!r} is not one of {HEALTHY}, {FAILED}, {UNKNOWN}")
        if self.end is not None and self.end < self.begin:
            raise ValueError(f"boot {self.number} ends at {self.end} s, before it begins at {self.begin} s")


@dataclass(frozen=True)
class Machine:
    """A machine, in the order of time. ``test`` is what it was made for, ``verdict`` ``passed``, ``failed`` or empty."""

    name: str
    test: str = ""
    verdict: str = ""
    error: str = ""
    boots: tuple[Boot, ...] = ()
    events: tuple[Event, ...] = ()
    screenshots: tuple[Screenshot, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What was found of a state of a replayed disk, such as ``the old slot boots``; ``bad`` where it must not be."""

    name: str
    bad: bool = False


@dataclass(frozen=True)
class Write:
    """A write or flush of the recorded flow: ``states`` is how many states after it had each verdict of the replay."""

    number: int
    text: str
    states: tuple[int, ...]

    def __post_init__(self) -> None:
        if any(count < 0 for count in self.states):
            raise ValueError(f"write {self.number} has a negative number of states: {self.states}")


@dataclass(frozen=True)
class Replay:
    """A flow whose disk was rebuilt after each write; ``scope`` says which states were made of each."""

    name: str
    scope: str
    verdicts: tuple[Verdict, ...]
    writes: tuple[Write, ...]

    def __post_init__(self) -> None:
        for write in self.writes:
            if len(write.states) != len(self.verdicts):
                raise ValueError(
                    f"write {write.number} has {len(write.states)} numbers of states for {len(self.verdicts)} verdicts"
                )

    @property
    def states(self) -> int:
        """The number of all states."""
        return sum(sum(write.states) for write in self.writes)

    @property
    def bad_states(self) -> int:
        """The number of those that must not be."""
        return sum(
            count
            for write in self.writes
            for count, verdict in zip(write.states, self.verdicts, strict=True)
            if verdict.bad
        )


@dataclass(frozen=True)
class Run:
    """Everything. ``began`` is a date with time and zone (ISO 8601), ``notes`` are lines about the whole."""

    title: str
    began: str
    seconds: float
    machines: tuple[Machine, ...] = ()
    replays: tuple[Replay, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_time(self.seconds)
