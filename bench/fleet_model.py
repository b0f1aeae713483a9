"""A fleet that updates itself, simulated with what its steps cost: how long it takes, and what etcd is asked to bear.

What is simulated machine by machine is the front of the queue, from where a machine can have a place before it looks again: its looks,
the comparisons that fail because another machine was faster, reboots, and the way back. Machines further back only look: they are
counted. etcd answers one request after the other, each in its measured time.
"""

from __future__ import annotations

import bisect
import math
import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from update_agent.lock.queue import COUNTED, TICKET
from update_agent.lock.repeat import PAUSE
from update_agent.reboot.plan import AHEAD, LOCK_EVERY

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    import simpy

    Steps = Generator[Any, Any, None]

FAR = max(LOCK_EVERY, AHEAD * COUNTED)
"""Seconds between two looks of a machine with very many ahead."""
_EXTRA, _HOPELESS = 3, 3
"""More machines at the front; changes that fail, for each machine, from which on no more are made."""


@dataclass(frozen=True)
class Costs:
    """Measured. Seconds of a client for a read and for a write; of etcd for any request, when it has nothing else to do.

    ``join``: requests of a machine that comes. Bytes of a read and of a write: question and answer, without heads; and those for each
    machine that holds a place, as all of them carry the document.
    """

    read: float
    write: float
    etcd: float
    join: int
    read_bytes: float
    write_bytes: float
    holder_bytes: float


@dataclass(frozen=True)
class Case:
    """Seconds: the machines come within ``arrive``, each has its place for ``least`` to ``longest``.

    ``looks`` are the reads of one look, ``back`` the writes of a machine that came back with its place. ``scale`` of 0.01 makes the times
    between looks a hundredth.
    """

    machines: int
    places: int
    arrive: float = 2700.0
    least: float = 90.0
    longest: float = 150.0
    looks: int = 2
    back: int = 1
    scale: float = 1.0

    @property
    def ideal(self) -> float:
        """Seconds, if nobody had to ask anybody."""
        return self.machines / self.places * (self.least + self.longest) / 2

    @property
    def near(self) -> int:
        """Machines of the front."""
        return math.ceil(FAR * self.scale * self.places / self.least) + _EXTRA

    def pause(self, ahead: int) -> float:
        """Seconds until a machine looks again that has so many before it."""
        return max(LOCK_EVERY, AHEAD * min(ahead, COUNTED)) * self.scale

    def far_looks(self, many: int) -> float:
        """Reads a second of so many machines that are further back than the front."""
        counted = max(0, min(many, COUNTED - self.near))
        some = sum(1 / self.pause(self.near + place) for place in range(counted))
        return (some + (many - counted) / (FAR * self.scale)) * self.looks


@dataclass
class Outcome:
    """``seconds`` until the last machine has given its place back; infinite where machines only get in each other's way.

    Requests and bytes: all, and in the worst minute, for a second.
    """

    seconds: float = math.inf
    requests: float = 0.0
    failed: int = 0
    peak_requests: float = 0.0
    peak_bytes: float = 0.0
    document: float = 0.0


@dataclass
class _World:
    case: Case
    costs: Costs
    env: simpy.Environment
    etcd: simpy.Resource
    luck: random.Random
    span: float
    end: simpy.Event
    queue: list[int] = field(default_factory=list)
    come: int = 0
    next_far: int = 0
    far: float = 0.0
    holders: int = 0
    revision: int = 0
    done: int = 0
    out: Outcome = field(default_factory=Outcome)
    requests: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    bytes: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))

    def asked(self, reads: float, writes: float) -> None:
        """Note requests of this moment."""
        costs, now = self.costs, int(self.env.now / self.span)
        self.requests[now] += reads + writes
        document = costs.holder_bytes * self.holders
        self.bytes[now] += reads * (costs.read_bytes + document) + writes * (costs.write_bytes + document)

    def ask(self, reads: int, writes: int) -> Steps:
        """Ask etcd, which others ask too."""
        costs = self.costs
        self.asked(reads, writes)
        busy = self.far * costs.etcd
        with self.etcd.request() as turn:
            yield turn
            yield self.env.timeout((reads + writes) * costs.etcd / (1 - min(busy, 0.95)))
        yield self.env.timeout(max(0.0, reads * (costs.read - costs.etcd) + writes * (costs.write - costs.etcd)))

    def change(self) -> Steps:
        """Look and write the document, until nobody else did in between."""
        while True:
            seen = self.revision
            yield from self.ask(1, 0)
            if (yield from self.write(seen)):
                return

    def write(self, seen: int) -> Generator[Any, Any, bool]:
        """Write the document where it still has this revision."""
        yield from self.ask(0, 1)
        if self.revision == seen:
            self.revision += 1
            return True
        self.out.failed += 1
        if self.out.failed == _HOPELESS * self.case.machines:
            self.end.succeed()
        yield self.env.timeout(self.luck.uniform(0, PAUSE))
        return False

    def let_in(self) -> None:
        """The next ones come to the front."""
        while len(self.queue) < self.case.near and self.next_far < self.come:
            number = self.next_far
            self.next_far += 1
            self.queue.append(number)
            self.env.process(self.machine(number))

    def arrive(self) -> Steps:
        """All machines come, one after the other, and write their tickets."""
        for number in range(self.case.machines):
            self.come = number + 1
            self.asked(self.costs.join - 1, 1)
            self.let_in()
            yield self.env.timeout(self.case.arrive / self.case.machines)

    def wait(self) -> Steps:
        """What those further back ask: looks, and now and then a lease that is renewed."""
        case = self.case
        while self.done < case.machines:
            many = self.come - self.next_far
            self.far = case.far_looks(many)
            self.asked(self.far * self.span, 0)
            self.requests[int(self.env.now / self.span)] += many * self.span / (TICKET.total_seconds() / 3 * case.scale)
            yield self.env.timeout(self.span)

    def machine(self, number: int) -> Steps:
        """From the front of the queue to the end."""
        case, luck = self.case, self.luck
        yield self.env.timeout(luck.random() * case.pause(bisect.bisect_left(self.queue, number)))
        while True:
            seen = self.revision
            yield from self.ask(case.looks, 0)
            ahead, free = bisect.bisect_left(self.queue, number), case.places - self.holders
            if ahead >= free:
                yield self.env.timeout(case.pause(ahead))
            elif (yield from self.write(seen)):
                break
        self.queue.remove(number)
        self.holders += 1
        self.let_in()
        yield self.env.timeout(luck.uniform(case.least, case.longest))
        for _ in range(case.back):
            yield from self.change()
        yield from self.change()
        self.holders -= 1
        self.done += 1
        if self.done == case.machines:
            self.out.seconds = self.env.now
            self.end.succeed()


def simulate(case: Case, costs: Costs, seed: int = 1) -> Outcome:
    """One fleet, one update."""
    import simpy

    env = simpy.Environment()
    span = 60.0 * case.scale
    world = _World(case, costs, env, simpy.Resource(env, capacity=1), random.Random(seed), span, env.event())  # noqa: S311
    env.process(world.arrive())
    env.process(world.wait())
    env.run(until=world.end)
    out = world.out
    out.requests = sum(world.requests.values())
    out.peak_requests, out.peak_bytes = (max(some.values()) / span for some in (world.requests, world.bytes))
    out.document = costs.holder_bytes * case.places
    return out
