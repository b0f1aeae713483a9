"""Time, as something that is passed in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

RELEASED = datetime(2026, 11, 25, tzinfo=UTC)
"""The date of this program, which has certainly passed."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Clock:
    """``now`` is the date, in UTC, which may be wrong or jump; ``monotonic`` counts seconds; ``sleep`` waits for some."""

    now: Callable[[], datetime] = _now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
