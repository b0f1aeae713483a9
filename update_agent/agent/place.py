"""What this machine knows of its own part in the lock of its group: for the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from update_agent.lock.coordinator import Held, Waiting

if TYPE_CHECKING:
    from datetime import datetime

    from update_agent.lock.coordinator import Lock
    from update_agent.reboot.promise import Promise


@dataclass(frozen=True)
class Place:
    """A place, ``kept`` after a rollback or not; or one in the queue, ``ahead`` of which are so many, and ``why`` it waits.

    ``machine`` and ``group`` are the names in the lock. ``since``: when it took the place or began to wait; None where nobody knows.
    """

    group: str
    machine: str
    since: datetime | None
    kept: bool = False
    ahead: int = 0
    why: str = ""


def place_of(
    promise: Promise | None, lock: Lock, answer: Held | Waiting | None, before: Place | None, now: datetime
) -> Place | None:
    """What ``lock`` has answered last, and what the machine owes; None for no part in it. ``before`` is what was known before."""
    if promise is None or not promise.kind:
        return None
    group, machine = lock.group, lock.machine
    if isinstance(answer, Waiting):
        waited = before is not None and bool(before.why)
        since = before.since if before is not None and waited else now
        return Place(group, machine, since, ahead=answer.ahead, why=answer.reason or "all places are taken")
    return Place(group, machine, answer.since if answer is not None else None, promise.kept)
