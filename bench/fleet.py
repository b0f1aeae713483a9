"""How long a fleet takes, and what etcd has to bear: ``python -m bench.fleet [--json] [--plot FILE]`` (``script/bench fleet``).

The costs of the steps are measured on one etcd on loopback; 60 machines then really update themselves there, a hundred times faster
than machines would, and the model has to say the same of them; and then it says what it says of up to 100,000.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from bench.fleet_model import Case, Costs, Outcome, simulate
from bench.lock import Target, cluster
from tests.update_agent.lock.pool import Pool
from update_agent.lock import wire
from update_agent.lock.coordinator import Held
from update_agent.lock.group import Group
from update_agent.lock.keys import Keys
from update_agent.lock.queue import EtcdLock
from update_agent.lock.semaphore import Semaphore
from update_agent.reboot.plan import AHEAD, LOCK_EVERY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.update_agent.lock.etcd import Cluster
    from update_agent.lock.etcd import Etcd

ROUNDS, HOLDERS, THREADS, SECONDS = 300, 200, 8, 3.0
SMALL = Case(60, 3, arrive=1.0, least=0.4, longest=0.6, looks=1, back=0, scale=0.01)
SIZES = (100, 1000, 10_000, 100_000)
PLACES: dict[str, Callable[[int], int]] = {
    "1": lambda _: 1,
    "4": lambda _: 4,
    "1 %": lambda machines: max(1, machines // 100),
    "10 %": lambda machines: machines // 10,
}
LONGEST = 100 * 86400
"""Seconds: fleets that would take longer are left out."""
TOLERANCE = 1.3
"""The model may be wrong by this factor, in either direction: the real run shares its processors."""


@dataclass(frozen=True)
class Point:
    """A fleet, and what the model says of it; ``load`` is the worst minute's share of what this etcd can answer.

    Above 0.5 the time is that of an etcd which is so much faster.
    """

    machines: int
    places: int
    rule: str
    ideal: float
    load: float
    outcome: Outcome


class Scale:
    """A client's connections, which weigh what goes through them."""

    def __init__(self, etcd: Etcd) -> None:
        self._pools, self._lock = etcd._pools, threading.Lock()  # noqa: SLF001  (nothing else sees the bytes)
        self.requests = self.bytes = 0
        etcd._pools = self  # type: ignore[assignment]  # noqa: SLF001

    def request(self, method: str, url: str, *, body: bytes, **options: Any) -> Any:  # noqa: ANN401  (as urllib3)
        """As urllib3's."""
        answer = self._pools.request(method, url, body=body, **options)
        with self._lock:
            self.requests += 1
            self.bytes += len(body) + len(answer.data)
        return answer

    def clear(self) -> None:
        """As urllib3's."""
        self._pools.clear()


def measured(one: Cluster) -> Costs:
    """What the steps cost: medians of one client, and the rate of many."""
    etcd = one.client()
    scale, keys, group = Scale(etcd), Keys("bench costs"), Group(etcd, "bench costs")
    group.set_max(HOLDERS + 1)
    waiter = EtcdLock(etcd, "bench costs", "0" * 32)

    def timed(act: Callable[[], object]) -> tuple[float, float]:
        times, before = [], scale.bytes
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            act()
            times.append(time.perf_counter() - begun)
        return statistics.median(times), (scale.bytes - before) / ROUNDS

    read, empty = timed(waiter.held)
    names = [f"{number:032x}" for number in range(HOLDERS)]
    document = json.dumps({"semaphore": 1, "max": HOLDERS + 1, "holders": names}, separators=(",", ":")).encode()
    etcd.change([], [wire.put(keys.semaphore, document)])
    _, full = timed(waiter.held)
    own = "0" * 32
    took = [
        wire.put(keys.semaphore, document[:40]),
        wire.put(keys.record(own), b"x" * 60),
        wire.delete(keys.ticket(own)),
    ]
    write, written = timed(lambda: etcd.change([wire.created_at(keys.ticket(own), 0)], took))
    etcd.change([], [wire.put(keys.semaphore, Semaphore().to_bytes())])
    EtcdLock(etcd, "bench costs", "first").acquire("2")
    scale.requests = 0
    EtcdLock(etcd, "bench costs", "second").acquire("2")
    join = scale.requests
    etcd.close()
    return Costs(read, write, 1 / rate(one), join, empty, written, (full - empty) / HOLDERS)


def rate(one: Cluster) -> float:
    """Reads a second of as many clients as keep it busy. Their own share is in it: a real etcd that has its machine alone does more."""
    counts, end = [0] * THREADS, time.perf_counter() + SECONDS

    def ask(number: int) -> None:
        etcd = one.client()
        lock = EtcdLock(etcd, "bench rate", f"m{number}")
        while time.perf_counter() < end:
            lock.held()
            counts[number] += 1
        etcd.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


def real(one: Cluster, case: Case) -> tuple[float, int]:
    """The same fleet, with the real lock: seconds, and requests."""
    clients = [one.client() for _ in range(4)]
    scales = [Scale(etcd) for etcd in clients]
    luck, ended = random.Random(1), list[float]()  # noqa: S311
    Group(clients[0], "bench real").set_max(case.places)

    def live(number: int) -> Iterator[float]:
        lock = EtcdLock(clients[number % 4], "bench real", f"{number:032x}")
        yield case.arrive * number / case.machines
        while not isinstance(answer := lock.acquire("2"), Held):
            yield max(LOCK_EVERY, AHEAD * answer.ahead) * case.scale
        yield luck.uniform(case.least, case.longest)
        lock.release()
        ended.append(time.monotonic())

    begun = time.monotonic()
    Pool([live(number) for number in range(case.machines)], 16).run(300, lambda: None)
    for etcd in clients:
        etcd.close()
    return max(ended) - begun, sum(scale.requests for scale in scales)


def check(one: Cluster, costs: Costs) -> Iterator[Target]:
    """The model beside the real run."""
    seconds, requests = real(one, SMALL)
    said = simulate(SMALL, costs)
    for what, ratio in (("time", said.seconds / seconds), ("requests", said.requests / requests)):
        name = f"{SMALL.machines} machines, {SMALL.places} places: {what}, model / real"
        yield Target(name, ratio, 1 / TOLERANCE, True)
        yield Target(name, ratio, TOLERANCE, False)


def project(costs: Costs) -> Iterator[Point]:
    """What the model says."""
    for machines in SIZES:
        for rule, places in PLACES.items():
            case = Case(machines, places(machines))
            if case.ideal > LONGEST:
                continue
            faster = max(1.0, case.far_looks(machines) * costs.etcd / 0.5)
            out = simulate(case, replace(costs, etcd=costs.etcd / faster))
            yield Point(machines, case.places, rule, case.ideal, out.peak_requests * costs.etcd, out)


def table(costs: Costs, points: list[Point], targets: list[Target]) -> str:
    """For people, as docs/fleet.md has it."""
    each = f"read {costs.read * 1000:.2f} ms, write {costs.write * 1000:.2f} ms; a machine joins with {costs.join} requests; "
    lines = [
        each + f"etcd answers {1 / costs.etcd:.0f} reads a second",
        f"bytes: read {costs.read_bytes:.0f}, write {costs.write_bytes:.0f}, and {costs.holder_bytes:.0f} for each holder",
        "",
        "| machines | places | time | the reboots alone | requests/s, worst minute | of this etcd | MB/s | document, kB |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in points:
        out = one.outcome
        lines.append(
            f"| {one.machines:,} | {one.places:,} ({one.rule}) | {words(out.seconds)} | {words(one.ideal)} | {out.peak_requests:,.1f} "
            f"| {one.load:.0%} | {out.peak_bytes / 1e6:,.2f} | {out.document / 1000:,.1f} |"
        )
    lines.append("")
    for target in targets:
        word, met = ("least" if target.least else "most"), ("met" if target.met else "MISSED")
        lines.append(f"{target.what} {target.ratio:.2f} (at {word} {target.limit:.2f}) {met}")
    return "\n".join(lines)


def words(seconds: float) -> str:
    """A time in the unit that fits it."""
    if math.isinf(seconds):
        return "does not end"
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size * 2 or unit == "min":
            return f"{seconds / size:.1f} {unit}"
    raise AssertionError


def plot(points: list[Point], costs: Costs, path: str) -> None:
    """Two panels as SVG; the same points make the same bytes."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "slotboot", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for rule in PLACES:
        some = [one for one in points if one.rule == rule]
        sizes = [one.machines for one in some]
        left.plot(sizes, [one.outcome.seconds / 3600 for one in some], marker="o", label=f"places: {rule}")
        right.plot(sizes, [one.outcome.peak_requests for one in some], marker="o", label=f"places: {rule}")
    right.axhline(1 / costs.etcd, color="grey", linestyle="--")
    right.annotate("all that the measured etcd answers", (SIZES[0], 1 / costs.etcd), va="bottom", fontsize=8)
    for axes, name in ((left, "hours until all are updated"), (right, "requests/s to etcd, worst minute")):
        axes.set(xscale="log", yscale="log", xlabel="machines", title=name)
        axes.grid(visible=True, which="major", alpha=0.3)
    left.legend()
    figure.savefig(path, format="svg", metadata={"Date": None})


def main() -> int:
    """Measure, check the model, project, and print. Returns 1 when the model is wrong about the real run."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.fleet", description="How long a fleet takes, and what etcd has to bear."
    )
    parser.add_argument("--json", action="store_true", help="for scripts: one JSON object")
    parser.add_argument("--plot", metavar="FILE", help="draw it as SVG (docs/fleet-scale.svg)")
    options = parser.parse_args()
    with cluster() as one:
        costs = measured(one)
        targets = list(check(one, costs))
    points = list(project(costs))
    if options.plot:
        plot(points, costs, options.plot)
    if options.json:
        told = [asdict(t) | {"met": t.met} for t in targets]
        text = json.dumps({"costs": asdict(costs), "points": list(map(asdict, points)), "targets": told}, indent=2)
    else:
        text = table(costs, points, targets)
    sys.stdout.write(text + "\n")
    return int(any(not target.met for target in targets))


if __name__ == "__main__":
    sys.exit(main())
