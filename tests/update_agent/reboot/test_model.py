"""A fleet of machines with one lock, in which anything happens at any time: what must hold whatever comes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.update_agent.reboot.fakes import FakeMeans, Semaphore
from update_agent.config.periods import Start
from update_agent.reboot.inhibitors import Inhibitor
from update_agent.reboot.plan import Plan
from update_agent.reboot.promise import Promise, Verdict
from update_agent.reboot.strategy import Hold, Locked, Now
from update_agent.reboot.window import Window

MACHINES = 3
ANY = st.integers(0, MACHINES - 1)


class Closed(Window):
    def is_open(self, now: datetime) -> bool:
        del now
        return False


OPEN, CLOSED = None, Closed(Start(12, 0), timedelta(hours=1), UTC)
LOCK, OFF, WAIT = Locked("etcd-lock"), Hold("off", give_back=True), Hold("etcd.service is failed")


class One:
    """A machine: it waits to reboot into a version, or is down, or its new version runs and is to be proved."""

    def __init__(self, shared: Semaphore, name: str) -> None:
        self.means = FakeMeans(shared, name)
        self.means.decision = LOCK
        self.plan = Plan(self.means)
        self.state, self.version = "idle", 0
        self.drained = False

    @property
    def words(self) -> str:
        return f"1.{self.version}"

    def tend(self) -> None:
        """As the agent does in each tick."""
        self.plan.promise = self.means.disk
        self.plan.settle_up()
        if self.state == "idle":
            self.plan.give_up("nothing waits")


class Fleet(RuleBasedStateMachine):
    """``allowed``: places that the lock has ever had."""

    @initialize(places=st.integers(1, 2))
    def begin(self, places: int) -> None:
        self.shared = Semaphore(places)
        self.machines = [One(self.shared, f"m{number}") for number in range(MACHINES)]

    @rule(which=ANY)
    def arm(self, which: int) -> None:
        one = self.machines[which]
        if one.state == "idle":
            one.state, one.version = "waiting", one.version + 1

    @rule(which=ANY)
    def cancel(self, which: int) -> None:
        one = self.machines[which]
        if one.state == "waiting":
            one.state = "idle"

    @rule(which=ANY)
    def restart(self, which: int) -> None:
        one = self.machines[which]
        one.plan = Plan(one.means, one.means.disk)

    @rule(which=ANY)
    def tick(self, which: int) -> None:
        one = self.machines[which]
        if one.state == "down":
            return
        one.tend()
        if one.state != "waiting":
            return
        before = list(one.means.did)
        hold = one.plan.ask(one.words)
        done = one.means.did[len(before) :]
        if hold is None:
            assert one.means.found is not CLOSED
            assert one.means.decision in (LOCK, Now())
            if one.means.decision == LOCK:
                assert one.means.holds
                assert one.means.disk is not None
                assert one.words not in self.shared.stops
            assert one.means.disk is not None
            assert one.means.disk.undrain
            one.state = "down"
        elif hold.give_back and not self.shared.away and not one.means.undrain_problem:
            kept = one.means.disk is not None and one.means.disk.kept
            assert one.means.disk is None or kept
            assert kept or not (one.means.holds or one.means.queues)
            assert not any(word.startswith("drain") for word in done) or any("given-up" in word for word in done)

    @rule(which=ANY)
    def boot(self, which: int) -> None:
        one = self.machines[which]
        if one.state == "down":
            one.plan = Plan(one.means, one.means.disk)
            one.state = "proving"

    @rule(which=ANY, good=st.booleans())
    def judge(self, which: int, good: bool) -> None:
        one = self.machines[which]
        if one.state == "proving":
            owed = one.means.disk or Promise(one.words)
            verdict = Verdict.GOOD if good else Verdict.ROLLED_BACK
            one.means.disk = replace(
                owed, version=one.words, verdict=verdict, reason="2/0/0", undrain=owed.undrain or good, kept=False
            )
            one.state = "idle"

    @rule(which=ANY, window=st.sampled_from([OPEN, CLOSED]))
    def set_window(self, which: int, window: Window | None) -> None:
        self.machines[which].means.found = window

    @rule(which=ANY, decision=st.sampled_from([LOCK, LOCK, LOCK, Now(), OFF, WAIT]))
    def set_strategy(self, which: int, decision: Any) -> None:  # noqa: ANN401
        self.machines[which].means.decision = decision

    @rule(which=ANY, users=st.sets(st.sampled_from(["tty1", "pts/0"])))
    def log_in(self, which: int, users: set[str]) -> None:
        self.machines[which].means.users = frozenset(users)

    @rule(which=ANY, held=st.booleans())
    def inhibit(self, which: int, held: bool) -> None:
        self.machines[which].means.held = (Inhibitor("backup", ""),) if held else ()

    @rule(which=ANY, drain=st.sampled_from(["", "", "no"]), undrain=st.sampled_from(["", "", "no"]))
    def break_hooks(self, which: int, drain: str, undrain: str) -> None:
        self.machines[which].means.drain_problem = drain
        self.machines[which].means.undrain_problem = undrain

    @rule(away=st.booleans())
    def lose_the_lock(self, away: bool) -> None:
        self.shared.away = away

    @rule(which=ANY)
    def unlock(self, which: int) -> None:
        """A person takes a place away."""
        one = self.machines[which]
        if one.state in ("waiting", "idle") and one.means.holds:
            self.shared.holders.remove(one.means.name)

    @rule(version=st.integers(1, 4))
    def clear(self, version: int) -> None:
        self.shared.stops.pop(f"1.{version}", None)

    @rule(seconds=st.sampled_from([1, 10, 299, 300, 3600]))
    def later(self, seconds: int) -> None:
        for one in self.machines:
            one.means.seconds += seconds

    @invariant()
    def never_more_than_there_are_places(self) -> None:
        assert self.shared.most <= self.shared.max

    @invariant()
    def no_place_is_had_that_the_machine_does_not_know_of(self) -> None:
        for one in self.machines:
            if one.means.holds or one.means.queues:
                assert one.means.disk is not None
                assert one.means.disk.kind

    @invariant()
    def a_machine_that_is_down_or_unproved_keeps_its_place(self) -> None:
        for one in self.machines:
            if one.state == "down" and one.means.decision == LOCK and one.means.disk and one.means.disk.kind:
                assert one.means.holds

    def teardown(self) -> None:
        """In a world without trouble everybody ends up owing nothing, but for the place of a rollback."""
        self.shared.away = False
        for one in self.machines:
            one.means.drain_problem = one.means.undrain_problem = ""
            if one.state == "waiting":
                one.state = "idle"
            if one.state in ("idle", "proving"):
                one.tend()
                one.tend()
        for one in self.machines:
            kept = one.means.disk is not None and one.means.disk.kept
            hooks = [word for word in one.means.did if "drain" in word]
            if one.state == "idle" and hooks:
                assert hooks[-1].startswith("undrain")
            if one.state == "idle" and not kept:
                assert one.means.disk is None or isinstance(one.means.decision, Hold)
                assert one.means.disk is not None or not (one.means.holds or one.means.queues)


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
