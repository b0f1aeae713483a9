"""What happens to the cluster: all four machines take version 2, one after the other; version 3 stops at the first one."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.story import timeline as kinds
from qemu_tests.story.cluster.machines import MEMBERS, NAMES
from qemu_tests.story.cluster.watching import holder_at, longest_gap, moves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from qemu_tests.story.cluster.machines import Machines
    from qemu_tests.story.cluster.watching import Watch
    from qemu_tests.story.network.pipeline import Pipeline
    from qemu_tests.story.stage import Stage

LONG = 1800.0
"""Seconds for what four machines do one after the other, under emulation, on a machine that does other things as well."""
ANSWER = 120.0
"""Seconds in which etcd has to answer, though its leader has just rebooted."""
QUIET = 150.0
"""Seconds in which each machine asks its repository twice."""
GAP = 90.0
"""Seconds that the website, and writes to etcd, may be away for under emulation."""
WARNING = r"^System reboot in 5 minutes!\s*$"
LAST = NAMES[-1]
"""The machine that somebody is logged in on."""


@dataclass
class Story:
    """The machines, those who watch them, and who publishes."""

    machines: Machines
    watch: Watch
    pipeline: Pipeline

    def come_up(self) -> None:
        """All four run version 1, etcd has three members with a leader, and the website answers on one machine."""
        self._until("three members of etcd", lambda: self._last_members() == set(MEMBERS))
        self._until("the website", lambda: len(moves(self.watch.samples)) > 0)
        logged_in = self._log_in(LAST)
        logged_in.check(
            "the slot that runs", True, "/dev/vda2" in logged_in.order("findmnt --noheadings --output=SOURCE /")
        )
        self._tell(f"etcd has three members, and the website is served by {moves(self.watch.samples)[0]}")

    def take(self, version: str) -> None:
        """All machines end on a version, one after the other; each with its place in the lock, and warned about where somebody is."""
        self._scene(f"version {version} is published")
        first = len(self.watch.samples)
        self.pipeline.release(version)
        logged_in = self.machines.stages[LAST]
        self._until("a machine with the lock", lambda: bool(self._holders()))
        self._show_holder(logged_in)
        self._until("the warning", lambda: bool(_on_the_console(logged_in, WARNING)))
        logged_in.tell(kinds.UP, "System reboot in 5 minutes! stands on its console; who reads it logs out")
        logged_in.machine.type("exit", "enter")
        self._until("four reboots", lambda: len(self.machines.reboots) == len(NAMES))
        self._until("nobody with the lock", lambda: self._holders() == ())
        self._judge_reboots()
        self._judge_samples(first)
        for stage in self.machines.stages.values():
            stage.check("what the selector chose", [("USR-B", version)], stage.selected())
            stage.disk({"USR-A": "1/0/1", "USR-B": "2/0/1"}, "as in the article")

    def stop(self, version: str) -> None:
        """A broken version: the first machine rolls it back, and the others stay where they are."""
        self._scene(f"version {version} is broken: its health check never succeeds")
        before = len(self.machines.reboots)
        self.pipeline.release(version, broken=True)
        self._until("the version is stopped", lambda: version in self.watch.view(ANSWER).stops)
        names = {reboot.name for reboot in self.machines.reboots[before:]}
        one = next(iter(names))
        self._tell(f"{one} rolled it back, and keeps its place in the lock")
        others = [name for name in NAMES if name != one]
        logged_in = self._log_in(others[-1])
        self._until("nobody waits", lambda: not self.watch.view(ANSWER).waiting)
        self._until("it is out of use at the others", lambda: self._out_of_use(others))
        end = time.monotonic() + QUIET
        self._until("the others look twice", lambda: time.monotonic() > end)
        logged_in.check("machines that rebooted", {one}, {reboot.name for reboot in self.machines.reboots[before:]})
        tried = [reboot.slots for reboot in self.machines.reboots[before:]]
        logged_in.check("attributes of the tried slot", ["2/1/0", "2/0/0"], [slots["USR-A"] for slots in tried])
        self._until("it is out of use at the others still", lambda: self._out_of_use(others))
        view = self.watch.view(ANSWER)
        stop = view.stops[version]
        logged_in.check("who holds the lock", (stop.who,), view.semaphore.holders)
        said = logged_in.order("locksmithctl status 2>&1")
        logged_in.check("what locksmithctl says", True, stop.who in said and f"version {version}" in said)
        said = logged_in.order("updatectl status")
        logged_in.check("what updatectl says", True, f"version {version} is stopped by {stop.who}" in said)
        logged_in.tell(kinds.ORDER, f"updatectl status: version {version} is stopped by {stop.who}: {stop.why}")

    def end(self) -> None:
        """All are switched off; what stands on their disks."""
        tried = {reboot.name for reboot in self.machines.reboots[len(NAMES) :]}
        for name, stage in self.machines.stages.items():
            stage.power_cut("the story is over")
            stage.disk({"USR-A": "2/0/0" if name in tried else "0/0/0", "USR-B": "1/0/1"}, "at the end")

    def _show_holder(self, stage: Stage) -> None:
        holders = self._holders()
        said = stage.order("locksmithctl status").replace("\r", "")
        found = re.search(r"Available: 0\nMax: 1\n\nMACHINE ID\n([0-9a-f]{32})\n?", said)
        stage.check("the holder of the lock, as locksmithctl shows it", holders, (found[1],) if found else said)
        stage.tell(
            kinds.ORDER, f"locksmithctl status: Available: 0, Max: 1, MACHINE ID {holders[0] if holders else ''}"
        )

    def _judge_reboots(self) -> None:
        """Each machine rebooted once, with a place of its own, and with the new slot next in its table."""
        stage = self.machines.stages[LAST]
        reboots = self.machines.reboots
        stage.check("machines that rebooted", sorted(NAMES), sorted(reboot.name for reboot in reboots))
        for reboot in reboots:
            stage.check("attributes", {"USR-A": "1/0/1", "USR-B": "2/1/0"}, reboot.slots)
        holders = [holder_at(self.watch.samples, reboot.at) for reboot in reboots]
        stage.check("who had the lock at each reboot", [1] * len(NAMES), [len(one) for one in holders])
        stage.check("different machines that had it", len(NAMES), len(set(holders)))
        most = max(len(sample.holders or ()) for sample in self.watch.samples)
        stage.check("places taken at once", 1, most)
        self._tell("one machine after the other rebooted: " + ", ".join(reboot.name for reboot in reboots))

    def _judge_samples(self, first: int) -> None:
        stage, samples = self.machines.stages[LAST], self.watch.samples[first:]
        served = longest_gap(samples, lambda one: bool(one.serving))
        written = longest_gap(samples, lambda one: one.holders is not None)
        stage.check("machines that serve at once, at most", 1, max(len(one.serving) for one in samples))
        stage.check(f"the website is away for less than {GAP:.0f} s", True, served < GAP)
        stage.check(f"etcd is away for less than {GAP:.0f} s", True, written < GAP)
        stage.check("the website has moved", True, len(set(moves(samples))) > 1)
        self._tell(
            f"the website was at {', '.join(moves(samples))}; away for {served:.0f} s at most, etcd for {written:.0f} s"
        )

    def _out_of_use(self, names: Sequence[str]) -> bool:
        """Where it is armed a power cut would try it."""
        slots = [self.machines.stages[name].machine.judge(whole=False).slots for name in names]
        return all(one["USR-A"] == "0/0/0" for one in slots)

    def _holders(self) -> tuple[str, ...]:
        return self.watch.view(ANSWER).semaphore.holders

    def _last_members(self) -> set[str]:
        return set(self.watch.samples[-1].members) if self.watch.samples else set()

    def _log_in(self, name: str) -> Stage:
        stage = self.machines.stages[name]
        stage.machine.login("root", seconds=LONG)
        return stage

    def _until(self, what: str, true: Callable[[], bool]) -> None:
        end = time.monotonic() + LONG
        while not true():
            self.machines.check()
            if time.monotonic() > end:
                last = self.watch.samples[-1] if self.watch.samples else "nothing"
                self.machines.stages[LAST].check(what, "in time", f"not after {LONG:.0f} s; seen last: {last}")
            time.sleep(0.5)

    def _scene(self, text: str) -> None:
        for stage in self.machines.stages.values():
            stage.tell(kinds.SCENE, text)

    def _tell(self, text: str) -> None:
        self.machines.stages[LAST].tell(kinds.UP, text)


def _on_the_console(stage: Stage, pattern: str) -> list[str]:
    """What was found there in this boot."""
    console = stage.machine.console
    return [found.group() for found in console.find_all(pattern, console.boot_mark)]
