"""Windows for reboots, by the local clock.

A window opens when the local clock shows its time, and closes when its length has passed: an hour is an hour on the days too when
the clock is changed. Both ends belong to it. A time that the clock shows twice opens the window the first time. One that it leaves
out opens the window as long after the change as it would have come after it: 02:30 where 02:00 becomes 03:00 is 03:30. (That is
what ``fold=0`` means in both cases; a window on one day of the week is not lost for a week because of an hour in spring.)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from update_agent.config.periods import Start, parse_length, parse_start

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from update_agent.config.settings import Settings

LOCALTIME = Path("/etc/localtime")


@dataclass(frozen=True)
class Window:
    """``length`` is less than a day, or a week where it opens on one day of it."""

    start: Start
    length: timedelta
    zone: tzinfo

    def is_open(self, now: datetime) -> bool:
        """Whether ``now``, which has a zone, is in the window."""
        return any(start <= now <= start + self.length for start in self._starts(now))

    def next_opening(self, now: datetime) -> datetime:
        """The first moment from ``now`` on that is in the window, in UTC: ``now`` itself where it is open."""
        now = now.astimezone(UTC)
        return now if self.is_open(now) else min(start for start in self._starts(now) if start > now)

    def _starts(self, now: datetime) -> Iterator[datetime]:
        """When it opens, in UTC, from before a window that could be open now until after the next opening."""
        today = now.astimezone(self.zone).date()
        for days in range(-9, 10):
            try:
                date = today + timedelta(days=days)
            except OverflowError:
                continue
            if self.start.day in (None, date.weekday()):
                wall = datetime(date.year, date.month, date.day, self.start.hour, self.start.minute, tzinfo=self.zone)
                yield wall.astimezone(UTC)


def window_of(settings: Settings, zone: tzinfo | None = None) -> Window | None:
    """That of the settings, which are checked already; None: it is always open. The zone is the machine's."""
    if not settings.window_start:
        return None
    start, length = parse_start(settings.window_start), parse_length(settings.window_length)
    return Window(start, length, zone or local_zone())


def local_zone(path: Path = LOCALTIME) -> tzinfo:
    """The zone of the machine: localtime(5). UTC where it has none, as everywhere else."""
    try:
        with path.open("rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return UTC
