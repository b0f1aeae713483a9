"""Who takes a release first: each machine draws its place anew for each release, and has it for good.

>>> from update_agent.repository.release import Wave
>>> waves = (Wave(datetime(2026, 12, 1, tzinfo=UTC), 10), Wave(datetime(2026, 12, 3, tzinfo=UTC), 100))
>>> opens(waves, 4.2).day, opens(waves, 42.0).day
(1, 3)
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from update_agent.repository.release import Wave

_STEPS = 10_000
_ALWAYS = datetime.min.replace(tzinfo=UTC)


def place_of(machine_id: str, name: str, version: str) -> float:
    """Where from 0 to below 100 a machine stands; one without an id stands at the end."""
    if not machine_id:
        return 100 * (1 - 1 / _STEPS)
    digest = hashlib.sha256(f"{machine_id}\n{name}\n{version}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % _STEPS * 100 / _STEPS


def opens(waves: Sequence[Wave], place: float) -> datetime | None:
    """When the wave of a machine at that place begins (UTC): long ago where there are no waves, None where none reaches it."""
    if not waves:
        return _ALWAYS
    return next((wave.begin for wave in waves if place < wave.percent), None)
