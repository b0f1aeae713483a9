"""Simulated machines with the real lock: each updates itself once, is killed on the way, and goes on."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tests.update_agent.lock.pool import Pool
from update_agent.lock.coordinator import Held
from update_agent.lock.errors import LockError, NoHolderError
from update_agent.lock.etcd import Access, Etcd
from update_agent.lock.group import Group
from update_agent.lock.queue import EtcdLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.update_agent.lock.etcd import Cluster
    from tests.update_agent.lock.pool import Life

THREADS = 20
NEAR = 5
"""Machines at the front of the queue wait as the agent's library can: with a watch, which keeps a thread. All others look again later."""
VERSION = "2"


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


@dataclass(frozen=True)
class Size:
    """``dead``: so many end for good while they hold the lock, ``lost``: while they wait. ``ticket`` is that of all others.

    At most so many seconds: the machines come within ``arrive``, are out of service for ``reboot``, killed processes for ``restart``.
    """

    machines: int
    places: int
    dead: int = 1
    lost: int = 2
    arrive: float = 2.0
    reboot: float = 0.02
    ticket: timedelta = timedelta(minutes=2)
    kill: float = 0.005
    restart: float = 0.1


@dataclass
class Fleet:
    """``wrap`` stands between the lock of each machine and etcd: for locks that are broken on purpose.

    While ``busy``, nobody comes back from its reboot: so no fleet is done before all its troubles were.
    """

    cluster: Cluster
    group: str
    seed: int
    size: Size
    wrap: Callable[[Any], Any] = lambda etcd: etcd
    busy: Callable[[], bool] = lambda: False
    updated: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    most: int = 0
    threads: int = 0
    _rebooting: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pace: deque[float] = field(default_factory=lambda: deque(maxlen=40))

    def __post_init__(self) -> None:
        some = list(range(self.size.machines))
        random.Random(self.seed).shuffle(some)
        self.dead = frozenset(map(_name, some[: self.size.dead]))
        self.lost = frozenset(map(_name, some[self.size.dead :][: self.size.lost]))
        self.expected = frozenset(map(_name, some)) - self.dead - self.lost

    def run(self, seconds: float, watch: Callable[[], None]) -> bool:
        """Until every machine is updated, or the time is over: whether they are. ``watch`` is called again and again."""
        clients = [Etcd(Access(endpoints), read=2.0, deadline=8.0) for endpoints in self._ways()]
        lives = [self._live(_name(index), clients[index % len(clients)]) for index in range(self.size.machines)]
        person = self.cluster.client(read=3.0, deadline=9.0)
        try:
            return Pool([*lives, self._person(person)], THREADS).run(seconds, lambda: self._watched(watch))
        finally:
            for one in [*clients, person]:
                one.close()

    @property
    def done(self) -> int:
        """How many of those that will be updated are."""
        return len(self.updated)

    def _ways(self) -> list[tuple[str, ...]]:
        """Each client prefers another member. The way of every third one may be cut."""
        members = len(self.cluster.members)
        ways = []
        for faces in (self.cluster.endpoints, self.cluster.endpoints, self.cluster.faces):
            ways += [tuple(faces[(first + index) % members] for index in range(members)) for first in range(members)]
        return ways if self.cluster.network is not None else ways[:members]

    def _watched(self, watch: Callable[[], None]) -> None:
        self.threads = max(self.threads, threading.active_count())
        watch()

    def _live(self, name: str, etcd: Etcd) -> Life:
        """The life of a machine: processes, one after the other."""
        luck = random.Random(f"{self.seed} {name}")
        mortal = self.wrap(Mortal(etcd, luck, self.size.kill))
        yield luck.random() * self.size.arrive
        while True:
            try:
                yield from self._process(name, mortal, luck)
            except _KillError:
                with self._lock:
                    self.kills += 1
            except LockError as error:
                with self._lock:
                    self.errors[type(error).__name__] += 1
            else:
                return
            yield luck.random() * self.size.restart

    def _process(self, name: str, etcd: Any, luck: random.Random) -> Life:  # noqa: ANN401  (what ``wrap`` makes)
        """One process of the agent. To its end: this machine's part is over."""
        ticket = timedelta(seconds=5) if name in self.lost else self.size.ticket
        lock = EtcdLock(etcd, self.group, name, ticket=ticket)
        if self.updated[name]:
            lock.release()
            return
        while not isinstance(answer := lock.acquire(VERSION), Held):
            if name in self.lost:
                return
            if answer.ahead < NEAR:
                lock.wait(luck.uniform(0.3, 1.0))
                yield 0.0
            else:
                yield self._patience(answer.ahead) * luck.uniform(0.4, 0.7)
        if name in self.dead:
            return
        self._out_of_service(name)
        if luck.random() < 0.3:  # and a process of its new system goes on with the place
            lock = EtcdLock(etcd, self.group, name, ticket=ticket)
            assert isinstance(lock.acquire(VERSION), Held), f"{name} has lost its place"
        yield luck.random() * self.size.reboot
        while self.busy():
            yield 0.05
        self._back(name)
        lock.release()

    def _patience(self, ahead: int) -> float:
        """Seconds until the machine may be at the front, as fast as the queue has moved lately."""
        with self._lock:
            pace = (self._pace[-1] - self._pace[0]) / (len(self._pace) - 1) if len(self._pace) > 1 else 0.05
        return min(ahead * pace, self.size.ticket.total_seconds() / 4)

    def _out_of_service(self, name: str) -> None:
        """What the machines themselves believe: how many are out of service at once. A process that was killed is still out."""
        with self._lock:
            self._rebooting.add(name)
            self.most = max(self.most, len(self._rebooting))

    def _back(self, name: str) -> None:
        with self._lock:
            self._rebooting.discard(name)
            self.updated[name] += 1
            self._pace.append(time.monotonic())

    def _person(self, etcd: Etcd) -> Life:
        """An operator: more places and fewer, also below the holders; and a machine that does not come back is unlocked."""
        group, places = Group(etcd, self.group), self.size.places
        maxima = [places, places + 2, max(1, places - 1)]
        turn = 0
        while self.done < len(self.expected):
            try:
                group.set_max(maxima[turn % 3])
                self.unlock_the_dead(etcd)
                turn += 1
            except LockError as error:
                with self._lock:
                    self.errors[f"operator: {type(error).__name__}"] += 1
            yield 1.0

    def unlock_the_dead(self, etcd: Etcd) -> None:
        """What an operator does who sees that machines do not come back."""
        group = Group(etcd, self.group)
        for name in self.dead:
            try:
                group.unlock(name)
            except NoHolderError:
                continue


def _name(index: int) -> str:
    return f"m{index:04}"
