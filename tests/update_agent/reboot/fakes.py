"""A lock in memory, for a fleet, and a machine whose every look is decided by a test."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from update_agent.lock.coordinator import Held, Stop, Waiting
from update_agent.lock.errors import LockError
from update_agent.reboot.strategy import Hold, Locked, Now

if TYPE_CHECKING:
    from collections.abc import Callable

    from update_agent.reboot.inhibitors import Inhibitor
    from update_agent.reboot.promise import Promise
    from update_agent.reboot.window import Window

BEGIN = datetime(2026, 11, 28, 12, tzinfo=UTC)


@dataclass
class Semaphore:
    """What all machines share. ``away``: the server does not answer."""

    max: int = 1
    holders: list[str] = field(default_factory=list)
    queue: list[str] = field(default_factory=list)
    stops: dict[str, Stop] = field(default_factory=dict)
    away: bool = False
    most: int = 0


class FakeLock:
    """One machine's view."""

    def __init__(self, semaphore: Semaphore, name: str) -> None:
        self.semaphore, self.name = semaphore, name
        self.group, self.machine = "", name

    def held(self) -> Held | None:
        return Held(BEGIN) if self.name in self._reach().holders else None

    def _reach(self) -> Semaphore:
        if self.semaphore.away:
            raise LockError("no endpoint answers")
        return self.semaphore

    def acquire(self, version: str) -> Held | Waiting:
        assert version
        shared = self._reach()
        if self.name not in shared.holders:
            if self.name not in shared.queue:
                shared.queue.append(self.name)
            ahead = shared.queue.index(self.name)
            if ahead or len(shared.holders) >= shared.max:
                return Waiting(f"held by {', '.join(shared.holders)}", ahead)
            shared.queue.remove(self.name)
            shared.holders.append(self.name)
            shared.most = max(shared.most, len(shared.holders))
        return Held(BEGIN)

    def release(self) -> None:
        shared = self._reach()
        for names in (shared.holders, shared.queue):
            if self.name in names:
                names.remove(self.name)

    def rolled_back(self, version: str, reason: str) -> None:
        self._reach().stops[version] = Stop(self.name, BEGIN, reason)

    def stopped(self, version: str) -> Stop | None:
        return self._reach().stops.get(version)


class FakeMeans:
    """A machine. ``did`` is what was done, in order; ``disk`` what is written down."""

    def __init__(self, semaphore: Semaphore | None = None, name: str = "me") -> None:
        self.semaphore, self.name = semaphore or Semaphore(), name
        self.seconds = 0.0
        self.warning, self.inhibit_time = 300.0, 3600.0
        self.found: Window | None = None
        self.decision: Now | Hold | Locked = Locked("etcd-lock")
        self.users: frozenset[str] = frozenset()
        self.held: tuple[Inhibitor, ...] = ()
        self.drain_problem = self.undrain_problem = ""
        self.did: list[str] = []
        self.told: list[str] = []
        self.disk: Promise | None = None
        self.after: dict[str, Callable[[], None]] = {}

    def _do(self, what: str) -> None:
        self.did.append(what)
        self.after.get(what.split(maxsplit=1)[0], lambda: None)()

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)

    def uptime(self) -> float:
        return self.seconds

    def window(self) -> Window | None:
        return self.found

    def strategy(self) -> Now | Hold | Locked:
        return self.decision

    def lock(self, kind: str) -> _Noted:
        assert kind
        return _Noted(self)

    def save(self, promise: Promise | None) -> None:
        self.disk = promise

    def warn(self, seconds: float, told: frozenset[str]) -> frozenset[str]:
        for name in sorted(self.users - told):
            self._do(f"warn {name} {round(seconds)}")
        return self.users

    def unwarn(self) -> None:
        self._do("unwarn")

    def inhibitors(self) -> tuple[Inhibitor, ...]:
        return self.held

    def drain(self, version: str) -> str:
        self._do(f"drain {version}")
        return self.drain_problem

    def undrain(self, version: str, outcome: str) -> str:
        self._do(f"undrain {version} {outcome}")
        return self.undrain_problem

    def tell(self, line: str) -> None:
        self.told.append(line)

    @property
    def holds(self) -> bool:
        return self.name in self.semaphore.holders

    @property
    def queues(self) -> bool:
        return self.name in self.semaphore.queue


class _Noted(FakeLock):
    def __init__(self, means: FakeMeans) -> None:
        super().__init__(means.semaphore, means.name)
        self._means = means

    def acquire(self, version: str) -> Held | Waiting:
        # Whoever may have a place has written so before.
        assert self._means.disk is not None
        assert self._means.disk.kind
        answer = super().acquire(version)
        self._means._do("acquire" if isinstance(answer, Held) else "queue")
        return answer

    def release(self) -> None:
        super().release()
        self._means._do("release")

    def rolled_back(self, version: str, reason: str) -> None:
        super().rolled_back(version, reason)
        self._means._do(f"stop {version}")
