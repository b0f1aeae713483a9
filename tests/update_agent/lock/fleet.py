"""Simulated machines with the real lock: each updates itself once, is killed on the way, and goes on."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from update_agent.lock.coordinator import Held
from update_agent.lock.errors import LockError, NoHolderError
from update_agent.lock.etcd import Access, Etcd
from update_agent.lock.group import Group
from update_agent.lock.queue import EtcdLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.update_agent.lock.etcd import Cluster


class _KillError(BaseException):
    """The process is gone: not even its clean-up runs."""


class Mortal:
    """A client of a process that may be killed before any request, or after it before its answer is seen."""

    def __init__(self, etcd: Etcd, luck: random.Random, chance: float) -> None:
        self._etcd, self._luck, self._chance = etcd, luck, chance

    def _call(self, name: str, *words: Any) -> Any:  # noqa: ANN401  (as Etcd)
        if self._luck.random() < self._chance:
            raise _KillError
        answer = getattr(self._etcd, name)(*words)
        if self._luck.random() < self._chance:
            raise _KillError
        return answer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *words: self._call(name, *words)


@dataclass
class Fleet:
    """``dead``: machines that end for good while they hold the lock; ``lost``: while they wait for it."""

    cluster: Cluster
    group: str
    seed: int
    dead: frozenset[int] = frozenset()
    lost: frozenset[int] = frozenset()
    ticket: timedelta = timedelta(seconds=15)
    kill: float = 0.01
    reboot: float = 0.02
    updated: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    rebooting: int = 0
    most: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self, number: int, seconds: float, operator: Callable[[float], None]) -> None:
        """Until every machine is updated, or the time is over. ``operator`` is called again and again with the seconds so far."""
        threads = [threading.Thread(target=self._live, args=(index,), daemon=True) for index in range(number)]
        begun = time.monotonic()
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads) and time.monotonic() - begun < seconds:
            operator(time.monotonic() - begun)
            time.sleep(0.1)
        self._stop.set()
        for thread in threads:
            thread.join(60)

    def _live(self, index: int) -> None:
        """The life of a machine: processes, one after the other."""
        luck = random.Random(f"{self.seed} {index}")
        name, holding = f"m{index:04}", [False]
        endpoints = list(self.cluster.endpoints)
        luck.shuffle(endpoints)
        etcd = Etcd(Access(tuple(endpoints)), read=2.0, deadline=8.0)
        time.sleep(luck.random())
        while not self._stop.is_set():
            try:
                if self._process(index, name, Mortal(etcd, luck, self.kill), luck, holding):
                    break
            except _KillError:
                with self._lock:
                    self.kills += 1
            except LockError as error:
                with self._lock:
                    self.errors[type(error).__name__] += 1
            time.sleep(luck.random() * 0.5)
        etcd.close()

    def _process(self, index: int, name: str, etcd: Mortal, luck: random.Random, holding: list[bool]) -> bool:
        """One process of the agent. True: this machine's part is over."""
        lock = EtcdLock(etcd, self.group, name, ticket=self.ticket)  # type: ignore[arg-type]
        if self.updated[name]:
            lock.release()
            return True
        while not isinstance(lock.acquire("2"), Held):
            if index in self.lost:
                return True
            if self._stop.is_set():
                return False
            lock.wait(luck.uniform(0.1, 0.6) * self.ticket.total_seconds())
        if index in self.dead:
            return True
        self._reboot(1, holding)
        if luck.random() < 0.3:  # and a process of its new system goes on with the place
            lock = EtcdLock(etcd, self.group, name, ticket=self.ticket)  # type: ignore[arg-type]
            assert isinstance(lock.acquire("2"), Held), f"{name} has lost its place"
        time.sleep(luck.random() * self.reboot)
        self._reboot(-1, holding)
        self.updated[name] += 1
        lock.release()
        return True

    def _reboot(self, change: int, holding: list[bool]) -> None:
        """What the machines themselves believe: how many are out of service at once."""
        with self._lock:
            if holding[0] != (change > 0):
                self.rebooting += change
                holding[0] = change > 0
            self.most = max(self.most, self.rebooting)


def unlock_the_dead(fleet: Fleet, etcd: Etcd) -> None:
    """What an operator does who sees that a machine does not come back."""
    group = Group(etcd, fleet.group)
    for index in fleet.dead:
        try:
            group.unlock(f"m{index:04}")
        except NoHolderError:
            continue
