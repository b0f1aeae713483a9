"""The lock of a fleet beside what it is made of: ``python -m bench.lock [--json]`` (``script/bench lock``).

One etcd (Debian's) on loopback, its data in memory where there is any. Three measurements, each beside its peer in the same run:

- one client takes the lock and gives it back, beside two bare compare-and-swaps of the same document (each a read and a
  transaction, as ours is) with the same client
- 64 clients and one place: the longest wait, how many turns each had, and turns a second, beside ``etcdctl lock`` with as many
  processes at one lock of etcd's own
- the time and requests of a joining, a looking and a woken machine: what the simulation of large fleets is made from
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from bench.options import wants_json
from tests.update_agent.lock.etcd import running
from update_agent.lock import wire
from update_agent.lock.coordinator import Held
from update_agent.lock.errors import LockError
from update_agent.lock.group import document
from update_agent.lock.queue import EtcdLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.update_agent.lock.etcd import Cluster
    from update_agent.lock.etcd import Etcd
    from update_agent.lock.semaphore import Semaphore

ROUNDS, PAIRS = 6, 100
"""Alternating rounds of one client, and pairs in each."""
CLIENTS, SECONDS = 64, 12.0
HOLD = 0.005
"""Seconds that a client of many keeps the lock: a reboot takes minutes, which would only hide what is measured."""


@dataclass(frozen=True)
class Row:
    """A figure in its ``unit``."""

    what: str
    who: str
    value: float
    unit: str


@dataclass(frozen=True)
class Target:
    """A ratio, and what it must be: at least (``least``) or at most the limit."""

    what: str
    ratio: float
    limit: float
    least: bool

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.ratio >= self.limit if self.least else self.ratio <= self.limit


def swap(etcd: Etcd, key: str, change: Callable[[Semaphore], Semaphore]) -> None:
    """Compare-and-swap of the document, and nothing else."""
    while True:
        old, revision = document(key, etcd.look(wire.get(key)).found[0])
        if etcd.change([wire.modified_at(key, revision)], [wire.put(key, change(old).to_bytes())]).succeeded:
            return


def alone(cluster: Cluster) -> Iterator[Row | Target]:
    """One client: the middle of the rounds, which alternate."""
    etcd = cluster.client()
    lock, key = EtcdLock(etcd, "bench alone", "a"), "coreos.com/updateengine/rebootlock/groups/bench+raw/semaphore"

    def ours() -> None:
        if not isinstance(lock.acquire("2"), Held):
            sys.exit("bench lock: the lock is not free")
        lock.release()

    def raw() -> None:
        swap(etcd, key, lambda old: old.locked("a"))
        swap(etcd, key, lambda old: old.unlocked("a"))

    rates: dict[str, list[float]] = {"slotboot": [], "compare-and-swap": []}
    for number in range(ROUNDS + 1):
        for who, act in (("slotboot", ours), ("compare-and-swap", raw)):
            begun = time.perf_counter()
            for _ in range(PAIRS):
                act()
            if number:  # the first opens connections and makes keys
                rates[who].append(PAIRS / (time.perf_counter() - begun))
    etcd.close()
    middle = {who: statistics.median(some) for who, some in rates.items()}
    for who, rate in middle.items():
        yield Row("one client", who, rate, "pairs/s")
    yield Target("one client: slotboot / compare-and-swap", middle["slotboot"] / middle["compare-and-swap"], 0.8, True)


class Turns:
    """What one of many clients saw: when each of its turns began, and how long it had waited."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.waits: list[float] = []

    def had(self, asked: float) -> None:
        """A turn begins."""
        now = time.perf_counter()
        self.begun.append(now)
        self.waits.append(now - asked)


def ours(cluster: Cluster, end: float, turns: Turns, name: str) -> None:
    """A client of ours until the time is over; every client then has its last turn, so that none is cut short."""
    etcd = cluster.client()
    lock = EtcdLock(etcd, "bench many", name)
    while time.perf_counter() < end:
        asked = time.perf_counter()
        try:
            while not isinstance(lock.acquire("2"), Held):
                lock.wait(10)
            turns.had(asked)
            time.sleep(HOLD)
            lock.release()
        except LockError as error:
            sys.stderr.write(f"{name}: {error}\n")
    etcd.close()


def etcdctl(cluster: Cluster, end: float, turns: Turns, _name: str) -> None:
    """One of etcd's own clients, a process for each turn, as a script would use it."""
    argv = ["etcdctl", "--endpoints", ",".join(cluster.endpoints), "lock", "bench", "sleep", str(HOLD)]
    environment = {"PATH": os.environ["PATH"], "ETCDCTL_API": "3"}
    while time.perf_counter() < end:
        asked = time.perf_counter()
        subprocess.run(argv, env=environment, check=True, stdout=subprocess.DEVNULL)
        turns.had(asked)


def crowd(cluster: Cluster, act: Callable[[Cluster, float, Turns, str], None]) -> tuple[float, float, float]:
    """Turns a second, longest wait in seconds, most turns of a client / fewest."""
    turns = [Turns() for _ in range(CLIENTS)]
    begun = time.perf_counter()
    end = begun + SECONDS
    threads = [threading.Thread(target=act, args=(cluster, end, one, f"m{n:02}")) for n, one in enumerate(turns)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    inside = [sum(1 for moment in one.begun if moment < end) for one in turns]
    return sum(inside) / SECONDS, max(max(one.waits) for one in turns), max(inside) / max(min(inside), 1)


def many(cluster: Cluster) -> Iterator[Row | Target]:
    """64 clients and one place."""
    what = f"{CLIENTS} clients, one place"
    rate, wait, spread = crowd(cluster, ours)
    peer_rate, peer_wait, peer_spread = crowd(cluster, etcdctl)
    for who, values in (("slotboot", (rate, wait, spread)), ("etcdctl lock", (peer_rate, peer_wait, peer_spread))):
        for value, unit in zip(values, ("turns/s", "s, longest wait", "most turns / fewest"), strict=True):
            yield Row(what, who, value, unit)
    hold = 1 / rate
    yield Row(what, "slotboot", hold * 1000, "ms a turn, hand-over included")
    yield Target(f"{what}: longest wait / (clients x a turn)", wait / (CLIENTS * hold), 2, False)
    yield Target(f"{what}: most turns / fewest", spread, 2, False)
    yield Row(what, "slotboot / etcdctl lock", rate / peer_rate, "x, turns/s")


class Counted:
    """A client that counts its requests."""

    def __init__(self, etcd: Etcd) -> None:
        self._etcd, self.requests = etcd, 0

    def __getattr__(self, name: str) -> object:
        self.requests += 1
        return getattr(self._etcd, name)


def costs(cluster: Cluster) -> Iterator[Row]:
    """What a step of a machine costs: requests to etcd, and milliseconds of which most are the client's own."""
    counted = Counted(cluster.client())
    holder = EtcdLock(cluster.client(), "bench costs", "holder")
    holder.acquire("2")
    lock = EtcdLock(counted, "bench costs", "waiter")  # type: ignore[arg-type]
    steps: dict[str, Callable[[], object]] = {
        "join the queue": lambda: lock.acquire("2"),
        "look again": lambda: lock.acquire("2"),
        "take the place": lambda: lock.acquire("2"),
        "go on with it": lambda: lock.acquire("2"),
        "give it back": lock.release,
    }
    for name, act in steps.items():
        if name == "take the place":
            holder.release()
        counted.requests = 0
        begun = time.perf_counter()
        act()
        yield Row("a step of a machine", name, (time.perf_counter() - begun) * 1000, f"ms, {counted.requests} requests")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """One member. Raises SystemExit where there is no etcd."""
    if shutil.which("etcd") is None or shutil.which("etcdctl") is None:
        sys.exit("bench lock: etcd and etcdctl are not there; run script/bootstrap")
    with running(1) as found:
        yield found


def table(rows: list[Row], targets: list[Target]) -> str:
    """For people."""
    lines, what = [], ""
    for row in rows:
        if row.what != what:
            what = row.what
            lines += ["", what]
        lines.append(f"    {row.who:<24}{row.value:>10.2f} {row.unit}")
    lines += ["", "targets"]
    for target in targets:
        word = "least" if target.least else "most"
        met = "met" if target.met else "MISSED"
        lines.append(f"    {target.what:<58}{target.ratio:>6.2f}  (at {word} {target.limit:g}) {met}")
    return "\n".join(lines)


def main() -> int:
    """Measure and print. Returns 1 when a target is missed."""
    as_json = wants_json("lock", "The lock of a fleet beside etcd's own. Exit code 1: a target was missed.")
    with cluster() as one:
        found = [*alone(one), *costs(one), *many(one)]
    rows = [row for row in found if isinstance(row, Row)]
    targets = [target for target in found if isinstance(target, Target)]
    if as_json:
        told = {"rows": [asdict(row) for row in rows], "targets": [asdict(t) | {"met": t.met} for t in targets]}
        text = json.dumps(told, indent=2)
    else:
        text = table(rows, targets)
    sys.stdout.write(text + "\n")
    return int(any(not target.met for target in targets))


if __name__ == "__main__":
    sys.exit(main())
