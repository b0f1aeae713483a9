"""What a machine asks of the lock of its group, whoever keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True)
class Held:
    """The machine has a place, ``since`` then by the clock of whoever wrote it; None where that is not known."""

    since: datetime | None


@dataclass(frozen=True)
class Waiting:
    """It has none. ``ahead``: how many machines come before it, as far as the keeper of the lock tells; counted up to 100."""

    reason: str
    ahead: int


@dataclass(frozen=True)
class Stop:
    """A machine rolled a version back: no other one may start on it."""

    who: str
    when: datetime
    why: str


class Lock(Protocol):
    """One machine's view of one group's lock. All raise LockError, and have to be asked again then.

    ``group`` and ``machine`` are the names of both in the lock.
    """

    group: str
    machine: str

    def acquire(self, version: str) -> Held | Waiting:
        """Take a place for the reboot into this version, or one in the queue. Who has one goes on with it.

        Never waits for other machines. A machine that does not ask again for some minutes loses its place in the queue, never the lock.
        """

    def held(self) -> Held | None:
        """The place that the machine has; None for none, and where a look cannot tell. Changes nothing."""

    def release(self) -> None:
        """Give the place back, or leave the queue. What ``rolled_back`` has stopped stays so."""

    def rolled_back(self, version: str, reason: str) -> None:
        """Keep the place, and stop the fleet on this version.

        The place is given back by ``locksmithctl clear`` or ``unlock``, or by ``release``: once a newer version is proved, or where this
        machine has no part in the lock any more.
        """

    def stopped(self, version: str) -> Stop | None:
        """Who says that no other machine must start on this version."""
