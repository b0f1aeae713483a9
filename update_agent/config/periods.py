"""A window for reboots as locksmith writes it: when it opens, ``[Day ]HH:MM``, and how long it is open, a duration of Go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""In the order of ``date.weekday``."""
DAILY, WEEKLY = timedelta(days=1), timedelta(days=7)
"""A window is shorter than this."""
_START = re.compile(rf"(?:({'|'.join(DAYS)}) +)?([0-9]{{1,2}}):([0-9]{{2}})", re.IGNORECASE)
_MICRO = Fraction(1, 10**6)
_UNITS: dict[str, Fraction | int] = {"h": 3600, "m": 60, "s": 1, "ms": 1000 * _MICRO, "us": _MICRO, "ns": _MICRO / 1000}
_UNITS.update({"\u00b5s": _MICRO, "\u03bcs": _MICRO})
_PART = re.compile(rf"([0-9]*)(?:\.([0-9]*))?({'|'.join(sorted(_UNITS, key=len, reverse=True))})", re.ASCII)
_LONGEST = 64


@dataclass(frozen=True)
class Start:
    """A time of the local clock, on each day, or on one of the week: 0 is Monday."""

    hour: int
    minute: int
    day: int | None = None


def parse_start(written: str) -> Start:
    """``14:00``, ``Thu 23:00``. Raises ValueError.

    >>> parse_start("Thu 23:00")
    Start(hour=23, minute=0, day=3)
    """
    found = _START.fullmatch(written.strip())
    if found is None or int(found[2]) > 23 or int(found[3]) > 59:
        raise ValueError
    return Start(int(found[2]), int(found[3]), DAYS.index(found[1].lower()) if found[1] else None)


def parse_length(written: str) -> timedelta:
    """A duration as Go's ParseDuration takes it: numbers with units from ``ns`` to ``h``. Raises ValueError; so does a negative one.

    >>> parse_length("1h30m")
    datetime.timedelta(seconds=5400)
    """
    if written in ("0", "+0", "-0"):
        return timedelta()
    left = written.removeprefix("+")
    if not left or len(left) > _LONGEST:
        raise ValueError
    total = Fraction(0)
    while left:
        found = _PART.match(left)
        if found is None or not (found[1] or found[2]):
            raise ValueError
        total += Fraction(f"{found[1] or 0}.{found[2] or 0}") * _UNITS[found[3]]
        left = left[found.end() :]
    if total >= 10**9:
        raise ValueError
    return timedelta(microseconds=int(total * 10**6))


def limit_of(start: Start) -> timedelta:
    """What the length of the window must be below."""
    return DAILY if start.day is None else WEEKLY
