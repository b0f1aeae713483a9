"""What can be wrong with a disk while the power is on. Sectors have 512 bytes and count from the start of the disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class CutAt:
    """The machine freezes instead of writing ``sector`` the first time; ``Machine.power_cut`` then decides what is lost."""

    sector: int


@dataclass(frozen=True)
class CutAtWrite:
    """The machine freezes instead of carrying out the ``number``-th write of this boot; the first one has number 1."""

    number: int


@dataclass(frozen=True)
class CutAfter:
    """The machine freezes at the first request that comes ``seconds`` after power on or later."""

    seconds: float


@dataclass(frozen=True)
class CutAtLine:
    """The machine freezes when a console line comes that the regular expression ``pattern`` is found in.

    The disk does not see the console: whoever reads it freezes the disk.
    """

    pattern: str


@dataclass(frozen=True)
class BadSector:
    """``operation`` on ``sector`` fails: the guest gets an input/output error, each time."""

    sector: int
    operation: Literal["write", "read"] = "write"


@dataclass(frozen=True)
class BadFlush:
    """Every flush after the first ``after`` ones fails, a write with FUA is one too; what was to be flushed stays unflushed."""

    after: int = 0


@dataclass(frozen=True)
class SlowDisk:
    """Each request takes ``seconds`` longer."""

    seconds: float


@dataclass(frozen=True)
class FullDisk:
    """A disk on thin storage that is full after ``room`` more bytes: writes then fail with "no space left on device"."""

    room: int


@dataclass(frozen=True)
class ReadOnlyDisk:
    """The disk is write-protected, and says so."""


Fault = CutAt | CutAtWrite | CutAfter | CutAtLine | BadSector | BadFlush | SlowDisk | FullDisk | ReadOnlyDisk
