"""The keys of a group: that of locksmith, and ours beside it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote_plus

from update_agent.lock.errors import GroupError

BASE = "coreos.com/updateengine/rebootlock"


@dataclass(frozen=True)
class Keys:
    """The keys of a group; the empty name is that of the group that everybody is in who names none. Raises GroupError.

    >>> Keys("lb/x y").semaphore
    'coreos.com/updateengine/rebootlock/groups/lb%2Fx+y/semaphore'
    """

    group: str = ""

    def __post_init__(self) -> None:
        if self.group in (".", ".."):
            raise GroupError(self.group)

    @property
    def base(self) -> str:
        """What all keys of the group begin with."""
        return f"{BASE}/groups/{quote_plus(self.group)}" if self.group else BASE

    @property
    def semaphore(self) -> str:
        """The document of locksmith."""
        return f"{self.base}/semaphore"

    @property
    def tickets(self) -> str:
        """What all tickets begin with: machines that wait, in the order of their create revisions. Each is bound to a lease."""
        return f"{self.base}/queue/"

    @property
    def records(self) -> str:
        """What all records begin with: since when and for what a machine has its place."""
        return f"{self.base}/since/"

    @property
    def lives(self) -> str:
        """What all signs of life begin with. There are some only where places expire."""
        return f"{self.base}/alive/"

    @property
    def stops(self) -> str:
        """What all stops begin with: versions that nobody may start on."""
        return f"{self.base}/stops/"

    def ticket(self, machine: str) -> str:
        """That of one machine."""
        return self.tickets + quote_plus(machine)

    def record(self, machine: str) -> str:
        """That of one machine."""
        return self.records + quote_plus(machine)

    def life(self, machine: str) -> str:
        """That of one machine."""
        return self.lives + quote_plus(machine)

    def stop(self, version: str) -> str:
        """That of one version."""
        return self.stops + quote_plus(version)
