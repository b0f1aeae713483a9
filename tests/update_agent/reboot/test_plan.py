"""The order around a reboot, and what is given back on which failure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.reboot.fakes import BEGIN, FakeLock, FakeMeans, Semaphore
from update_agent.config.periods import Start
from update_agent.lock.coordinator import Stop
from update_agent.lock.errors import LockError
from update_agent.reboot.inhibitors import Inhibitor
from update_agent.reboot.plan import DRAIN_EVERY, STALE, Plan
from update_agent.reboot.promise import Promise, Verdict
from update_agent.reboot.strategy import Hold, Now
from update_agent.reboot.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

OPEN = Window(Start(11, 0), timedelta(hours=2), UTC)
"""From an hour before the clock of these tests until an hour after."""
LATER = Window(Start(18, 0), timedelta(hours=2), UTC)
BACKUP = Inhibitor("backup", "it runs")


@pytest.fixture
def means() -> FakeMeans:
    return FakeMeans()


@pytest.fixture
def plan(means: FakeMeans) -> Plan:
    return Plan(means)


def reason(plan: Plan, version: str = "1.1") -> str:
    hold = plan.ask(version)
    return "" if hold is None else hold.reason


def owes_nothing(means: FakeMeans) -> None:
    assert not means.holds
    assert not means.queues
    assert means.disk is None


def test_with_nobody_logged_in_it_goes_straight_on(means: FakeMeans, plan: Plan) -> None:
    means.found = OPEN
    assert plan.ask("1.1") is None
    assert means.did == ["acquire", "drain 1.1"]
    assert means.holds
    assert means.disk == Promise("1.1", "etcd-lock", undrain=True)


def test_without_a_lock_nothing_is_asked_of_one(means: FakeMeans, plan: Plan) -> None:
    means.decision, means.semaphore.away = Now(), True
    assert plan.ask("1.1") is None
    assert means.did == ["drain 1.1"]


def test_those_who_are_logged_in_are_warned_once_and_late_comers_too(means: FakeMeans, plan: Plan) -> None:
    means.users = frozenset({"tty1"})
    assert "12:05:00 UTC" in reason(plan)
    first = reason(plan)
    means.seconds, means.users = 180, frozenset({"tty1", "pts/0"})
    assert reason(plan) == first
    means.seconds = 299
    assert reason(plan) == first
    assert means.did == ["acquire", "warn tty1 300", "acquire", "acquire", "warn pts/0 120", "acquire"]
    means.seconds = 300
    assert plan.ask("1.1") is None
    assert means.did[-2:] == ["acquire", "drain 1.1"]


def test_nobody_is_waited_for_who_has_logged_out(means: FakeMeans, plan: Plan) -> None:
    means.users = frozenset({"tty1"})
    assert reason(plan)
    means.seconds, means.users = 10, frozenset()
    assert plan.ask("1.1") is None


def test_a_warning_that_was_long_ago_is_given_again(means: FakeMeans, plan: Plan) -> None:
    means.users = frozenset({"tty1"})
    assert reason(plan)
    means.semaphore.away = True
    means.seconds = 300 + STALE + 1
    assert "no endpoint answers" in reason(plan)
    means.semaphore.away = False
    assert "were warned" in reason(plan)
    assert means.did.count("warn tty1 300") == 2


def closes(means: FakeMeans) -> Callable[[], None]:
    def close() -> None:
        means.found = LATER

    return close


@pytest.mark.parametrize("step", ["acquire", "warn", "drain"])
def test_a_window_that_closes_at_any_step_gives_the_lock_back(means: FakeMeans, plan: Plan, step: str) -> None:
    means.found, means.users = OPEN, frozenset({"tty1"} if step == "warn" else ())
    means.after[step] = closes(means)
    if step == "warn":
        assert "were warned" in reason(plan)
    assert "Sat 2026-11-28 18:00 UTC" in reason(plan)
    owes_nothing(means)
    assert "release" in means.did
    assert ("unwarn" in means.did) == (step == "warn")
    assert ("undrain 1.1 given-up" in means.did) == (step == "drain")
    if step == "drain":
        # What is undone is undone before another machine may go.
        assert means.did.index("undrain 1.1 given-up") < means.did.index("release")


def test_nobody_is_warned_of_a_reboot_for_which_the_window_closed(means: FakeMeans, plan: Plan) -> None:
    means.found, means.users = OPEN, frozenset({"tty1"})
    means.after["acquire"] = closes(means)
    assert "next window" in reason(plan)
    assert means.did == ["acquire", "release"]


def test_people_are_told_once_that_it_does_not_come_and_warned_anew(means: FakeMeans, plan: Plan) -> None:
    means.found, means.users = OPEN, frozenset({"tty1"})
    assert reason(plan)
    means.found = LATER
    assert reason(plan)
    assert reason(plan)
    means.found = OPEN
    assert reason(plan)
    assert [word for word in means.did if "warn" in word] == ["warn tty1 300", "unwarn", "warn tty1 300"]


def test_outside_the_window_nothing_is_asked_of_anybody(means: FakeMeans, plan: Plan) -> None:
    means.found, means.semaphore.away = LATER, True
    hold = plan.ask("1.1")
    assert isinstance(hold, Hold)
    assert hold.seconds == 3600
    assert means.did == []
    means.seconds = 6 * 3600 - 1
    hold = plan.ask("1.1")
    assert isinstance(hold, Hold)
    assert hold.seconds == 1


def test_a_window_that_closes_while_it_waits_leaves_the_queue(means: FakeMeans, plan: Plan) -> None:
    FakeLock(means.semaphore, "other").acquire("1.1")
    means.found = OPEN
    assert "held by other" in reason(plan)
    assert means.queues
    means.seconds = 3601
    assert reason(plan)
    owes_nothing(means)
    assert means.semaphore.holders == ["other"]


@pytest.mark.parametrize(("ahead", "seconds"), [(0, 10), (20, 10), (60, 30)])
def test_who_is_far_back_in_the_queue_asks_less_often(ahead: int, seconds: float, means: FakeMeans, plan: Plan) -> None:
    means.semaphore.holders[:] = ["other"]
    means.semaphore.queue += [f"m{number}" for number in range(ahead)]
    hold = plan.ask("1.1")
    assert hold is not None
    assert hold.seconds == seconds


def test_one_whose_place_was_taken_away_waits_again_and_says_so_to_people(means: FakeMeans, plan: Plan) -> None:
    means.users = frozenset({"tty1"})
    assert reason(plan)
    means.semaphore.holders[:] = ["other"]
    means.seconds = 300
    assert "held by other" in reason(plan)
    assert means.did[-1] == "unwarn"
    assert "drain 1.1" not in means.did


def test_a_version_that_is_stopped_is_not_begun(means: FakeMeans, plan: Plan) -> None:
    FakeLock(means.semaphore, "other").acquire("1.1")
    assert "held by other" in reason(plan)
    means.semaphore.stops["1.1"] = Stop("other", BEGIN, "2/0/0")
    assert reason(plan) == "version 1.1 is stopped by other since 2026-11-28 12:00 UTC: 2/0/0"
    owes_nothing(means)
    means.semaphore.stops.clear()
    means.semaphore.holders.clear()
    assert plan.ask("1.1") is None


def test_a_lock_that_is_away_is_waited_for_and_never_done_without(means: FakeMeans, plan: Plan) -> None:
    means.semaphore.away = True
    assert reason(plan) == "the lock: no endpoint answers"
    assert means.did == []
    assert means.disk is None
    means.semaphore.away = False
    assert plan.ask("1.1") is None


def test_an_answer_that_is_lost_may_have_been_a_place_and_is_remembered_so(
    means: FakeMeans, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = FakeLock.acquire

    def lost(lock: FakeLock, version: str) -> object:
        take(lock, version)
        raise LockError("no answer within 8 s")

    monkeypatch.setattr(FakeLock, "acquire", lost)
    assert "no answer" in reason(plan)
    assert means.holds
    assert means.disk == Promise("1.1", "etcd-lock")
    assert Plan(means, means.disk).give_up("the agent begins anew")
    owes_nothing(means)


def test_off_keeps_nothing(means: FakeMeans, plan: Plan) -> None:
    means.users = frozenset({"tty1"})
    assert reason(plan)
    means.decision = Hold("off", give_back=True)
    assert reason(plan) == "off"
    assert means.did[-2:] == ["unwarn", "release"]
    owes_nothing(means)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_off_keeps_no_place_even_for_hooks_that_fail(means: FakeMeans, plan: Plan, verdict: Verdict) -> None:
    assert plan.ask("1.1") is None
    means.decision, means.undrain_problem = Hold("off", give_back=True), "no"
    if verdict is Verdict.NONE:
        assert reason(plan) == "off"
    else:
        assert isinstance(judged(means, verdict).settle_up(), Hold)
    assert not means.holds
    # post-good.d is owed still, and nothing else.
    assert means.disk is not None
    assert means.disk.kind == ""
    assert means.disk.undrain


def test_a_strategy_that_only_waits_keeps_what_it_may_have(means: FakeMeans, plan: Plan) -> None:
    means.users = frozenset({"tty1"})
    assert reason(plan)
    means.decision = Hold("etcd.service is failed")
    assert reason(plan) == "etcd.service is failed"
    assert means.holds


def test_what_cannot_be_given_back_now_is_given_back_later(means: FakeMeans, plan: Plan) -> None:
    means.users = frozenset({"tty1"})
    assert reason(plan)
    means.decision, means.semaphore.away = Hold("off", give_back=True), True
    assert reason(plan) == "off"
    assert means.disk is not None
    means.semaphore.away = False
    again = Plan(means, means.disk)
    assert again.give_up("nothing waits")
    owes_nothing(means)


def test_inhibitors_are_respected_for_a_time_and_no_place_is_kept_for_them(means: FakeMeans, plan: Plan) -> None:
    means.held = (BACKUP,)
    assert reason(plan) == "held by backup (it runs), until 13:00:00 UTC at most"
    assert means.did == []
    means.seconds, means.users = 3000, frozenset({"tty1"})
    means.held = ()
    assert "were warned" in reason(plan)
    means.seconds, means.held = 3300, (BACKUP, Inhibitor("apt", ""))
    assert reason(plan) == "held by backup (it runs), apt, until 13:00:00 UTC at most"
    owes_nothing(means)
    assert means.did[-2:] == ["unwarn", "release"]
    means.seconds = 3600
    means.users = frozenset()
    assert plan.ask("1.1") is None
    assert means.told == [
        "the machine reboots although it is held by backup (it runs), apt: reboot.inhibit-time is over"
    ]


def test_one_that_comes_while_the_lock_is_asked_is_respected(means: FakeMeans, plan: Plan) -> None:
    def comes() -> None:
        means.held = (BACKUP,)

    means.after["acquire"] = comes
    assert "held by backup" in reason(plan)
    assert means.did == ["acquire", "release"]


def test_the_time_of_inhibitors_begins_anew_with_the_next_window(means: FakeMeans, plan: Plan) -> None:
    means.held, means.found = (BACKUP,), OPEN
    assert "held by" in reason(plan)
    means.seconds = 3601
    assert "next window" in reason(plan)
    means.seconds = 86400 - 3600
    assert reason(plan) == "held by backup (it runs), until 12:00:00 UTC at most"


def test_a_drain_that_failed_is_undone_and_tried_again_later(means: FakeMeans, plan: Plan) -> None:
    means.drain_problem = "10-a: it ended with exit code 1"
    assert reason(plan) == "pre-reboot.d: 10-a: it ended with exit code 1"
    assert means.did == ["acquire", "drain 1.1", "undrain 1.1 given-up", "release"]
    owes_nothing(means)
    means.drain_problem = ""
    means.seconds = DRAIN_EVERY - 1
    assert "exit code 1" in reason(plan)
    owes_nothing(means)
    means.seconds = DRAIN_EVERY
    assert plan.ask("1.1") is None


def test_a_drain_that_cannot_be_undone_keeps_the_place(means: FakeMeans, plan: Plan) -> None:
    means.drain_problem = means.undrain_problem = "no"
    assert reason(plan)
    assert means.holds
    assert means.disk is not None
    assert means.disk.undrain
    means.undrain_problem = ""
    assert plan.give_up("again")
    owes_nothing(means)


def test_a_machine_that_was_drained_before_the_agent_began_anew_is_undrained_where_it_waits_again(
    means: FakeMeans,
) -> None:
    means.disk = Promise("1.1", "etcd-lock", undrain=True)
    FakeLock(means.semaphore, "other").acquire("1.1")
    plan = Plan(means, means.disk)
    assert "held by other" in reason(plan)
    assert plan.give_up("cancelled")
    assert means.did == ["queue", "undrain 1.1 given-up", "release"]
    owes_nothing(means)


def test_a_drained_machine_whose_place_was_taken_away_works_while_it_waits(means: FakeMeans, plan: Plan) -> None:
    assert plan.ask("1.1") is None
    means.semaphore.holders[:] = ["other"]
    assert "held by other" in reason(plan)
    assert means.did[-1] == "undrain 1.1 given-up"
    means.semaphore.holders.clear()
    assert plan.ask("1.1") is None
    assert means.did[-1] == "drain 1.1"


def test_a_drain_is_not_run_twice_for_one_reboot_but_after_a_restart_of_the_agent(means: FakeMeans, plan: Plan) -> None:
    assert plan.ask("1.1") is None
    assert plan.ask("1.1") is None
    assert means.did.count("drain 1.1") == 1
    assert Plan(means, means.disk).ask("1.1") is None
    assert means.did.count("drain 1.1") == 2


def test_a_reboot_that_could_not_be_asked_for_leaves_nothing_behind(means: FakeMeans, plan: Plan) -> None:
    assert plan.ask("1.1") is None
    assert plan.give_up("systemctl: refused")
    assert means.did[-2:] == ["undrain 1.1 given-up", "release"]
    owes_nothing(means)


def judged(means: FakeMeans, verdict: Verdict, why: str = "") -> Plan:
    """After the boot: a new agent, with what the disk says and the verdict."""
    assert means.disk is not None
    means.did.clear()
    undrain = means.disk.undrain or verdict is Verdict.GOOD
    means.disk = replace(means.disk, verdict=verdict, reason=why, undrain=undrain)
    return Plan(means, means.disk)


def test_the_place_is_held_until_the_new_version_is_good(means: FakeMeans, plan: Plan) -> None:
    assert plan.ask("1.1") is None
    booted = Plan(means, means.disk)
    assert booted.settle_up() is None
    assert means.holds
    good = judged(means, Verdict.GOOD)
    means.undrain_problem = "it ended with exit code 1"
    assert isinstance(good.settle_up(), Hold)
    assert means.holds
    means.undrain_problem, means.semaphore.away = "", True
    assert isinstance(good.settle_up(), Hold)
    means.semaphore.away = False
    assert good.settle_up() is None
    # The hooks that ran are not run again because the lock was away.
    assert means.did == ["undrain 1.1 good", "undrain 1.1 good", "release"]
    owes_nothing(means)


def test_a_rollback_keeps_the_place_and_stops_the_others_until_they_may_go_on(means: FakeMeans, plan: Plan) -> None:
    assert plan.ask("1.1") is None
    back = judged(means, Verdict.ROLLED_BACK, "all tries are used up (2/0/0)")
    means.semaphore.away, means.undrain_problem = True, "no"
    assert isinstance(back.settle_up(), Hold)
    assert isinstance(back.ask("1.2"), Hold)
    means.semaphore.away = False
    assert reason(back, "1.2") == "the others are still to be told that version 1.1 was rolled back"
    assert isinstance(back.settle_up(), Hold)
    # The others are told whatever the hooks do.
    assert means.semaphore.stops["1.1"].why == "all tries are used up (2/0/0)"
    means.undrain_problem = ""
    assert isinstance(back.settle_up(), Hold)
    assert means.holds
    assert back.give_up("nothing waits")
    assert means.holds
    other = FakeMeans(means.semaphore, "other")
    assert "is stopped by me" in reason(Plan(other))
    means.semaphore.stops.clear()
    again = Plan(means, means.disk)
    assert again.settle_up() is None
    owes_nothing(means)
    assert means.did.count("stop 1.1") == 1
    assert Plan(other).ask("1.1") is None


def test_after_a_rollback_the_next_version_uses_the_place_that_was_kept(means: FakeMeans, plan: Plan) -> None:
    assert plan.ask("1.1") is None
    back = judged(means, Verdict.ROLLED_BACK, "2/0/0")
    assert isinstance(back.settle_up(), Hold)
    assert back.ask("1.2") is None
    good = judged(means, Verdict.GOOD)
    assert good.settle_up() is None
    owes_nothing(means)
    assert set(means.semaphore.stops) == {"1.1"}


def test_a_rollback_under_off_keeps_nothing_and_tells_nobody(means: FakeMeans, plan: Plan) -> None:
    assert plan.ask("1.1") is None
    back = judged(means, Verdict.ROLLED_BACK, "2/0/0")
    means.decision = Hold("off", give_back=True)
    assert back.settle_up() is None
    owes_nothing(means)
    assert means.semaphore.stops == {}


@pytest.mark.parametrize("verdict", [Verdict.GOOD, Verdict.ROLLED_BACK])
def test_a_machine_that_others_rebooted_pays_too(means: FakeMeans, verdict: Verdict) -> None:
    means.disk = Promise("1.1", undrain=verdict is Verdict.GOOD, verdict=verdict, reason="2/0/0")
    plan = Plan(means, means.disk)
    if verdict is Verdict.GOOD:
        assert plan.settle_up() is None
        assert means.did == ["undrain 1.1 good", "release"]
    else:
        assert isinstance(plan.settle_up(), Hold)
        assert means.did == ["stop 1.1"]


def test_another_kind_of_lock_gets_the_old_place_back(means: FakeMeans) -> None:
    means.disk = Promise("1.1", "fleet-lock")
    means.decision = Now()
    assert Plan(means, means.disk).ask("1.1") is None
    assert means.did == ["release", "drain 1.1"]


def test_two_machines_take_turns() -> None:
    shared = Semaphore()
    one, two = FakeMeans(shared, "one"), FakeMeans(shared, "two")
    first, second = Plan(one), Plan(two)
    assert first.ask("1.1") is None
    assert "held by one" in reason(second)
    assert judged(one, Verdict.GOOD).settle_up() is None
    assert second.ask("1.1") is None
    assert shared.most == 1
