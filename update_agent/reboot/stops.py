"""What is said of a version that another machine of the fleet rolled back, and how it is known again by its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.lock.errors import LockError
from update_agent.reboot.strategy import Hold, Locked

if TYPE_CHECKING:
    from update_agent.lock.coordinator import Stop
    from update_agent.reboot.plan import Means


def words_of(version: str, stop: Stop) -> str:
    """For people, and for ``is_stop``.

    >>> from datetime import datetime, UTC
    >>> from update_agent.lock.coordinator import Stop
    >>> words_of("3", Stop("69d2", datetime(2026, 11, 28, 12, tzinfo=UTC), "2/0/0"))
    'version 3 is stopped by 69d2 since 2026-11-28 12:00 UTC: 2/0/0'
    """
    return f"{_begin(version)}{stop.who} since {stop.when:%Y-%m-%d %H:%M %Z}: {stop.why}"


def is_stop(version: str, reason: str) -> bool:
    """Whether the reason is that the version is stopped. The state has no field for that: an older agent has to read it, too.

    >>> is_stop("3", "version 3 is stopped by 69d2 since 2026-11-28 12:00 UTC: 2/0/0"), is_stop("3", "cancelled by a person")
    (True, False)
    """
    return reason.startswith(_begin(version))


def is_stopped(version: str, means: Means) -> bool:
    """Whether nobody starts on a version, as far as is known: while the lock does not answer, what was stopped stays so."""
    decision = means.strategy()
    if not isinstance(decision, Locked):
        return isinstance(decision, Hold) and not decision.give_back
    try:
        return means.lock(decision.kind).stopped(version) is not None
    except LockError as error:
        means.tell(f"the lock cannot be asked whether version {version} is still stopped: {error}")
        return True


def _begin(version: str) -> str:
    return f"version {version} is stopped by "
