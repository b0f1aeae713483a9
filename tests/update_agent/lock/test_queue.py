"""The lock of one machine, on a real etcd."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from update_agent.lock.coordinator import Held, Lock, Waiting
from update_agent.lock.group import Group
from update_agent.lock.keys import Keys
from update_agent.lock.queue import NEVER, TICKET, EtcdLock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.update_agent.lock.etcd import Cluster
    from update_agent.lock.etcd import Etcd

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


@pytest.fixture
def machine(etcd: Etcd, group: str) -> Callable[..., EtcdLock]:
    def make(name: str, ticket: timedelta = TICKET, expiry: timedelta = NEVER) -> EtcdLock:
        return EtcdLock(etcd, group, name, ticket=ticket, expiry=expiry, now=lambda: NOW, rest=lambda: None)

    return make


def holders(etcd: Etcd, group: str) -> tuple[str, ...]:
    return Group(etcd, group).view().semaphore.holders


def waiting(etcd: Etcd, group: str) -> tuple[str, ...]:
    return tuple(one.machine for one in Group(etcd, group).view().waiting)


def test_the_only_machine_has_the_lock_at_once(machine: Callable[..., EtcdLock], one: Cluster) -> None:
    lock: Lock = machine("a")
    assert lock.acquire("2") == Held(NOW)
    assert one.etcdctl("get", "--print-value-only", machine("a").keys.semaphore) == (
        '{"semaphore":0,"max":1,"holders":["a"]}\n'
    )
    lock.release()
    assert one.etcdctl("get", "--print-value-only", machine("a").keys.semaphore) == (
        '{"semaphore":1,"max":1,"holders":[]}\n'
    )


def test_who_holds_the_lock_goes_on_after_a_reboot_and_as_often_as_it_asks(machine: Callable[..., EtcdLock]) -> None:
    lock = machine("a")
    for _ in range(3):
        assert lock.acquire("2") == Held(NOW)
    for _ in range(3):
        assert machine("a").acquire("2") == Held(NOW)


def test_machines_have_the_lock_in_the_order_in_which_they_came(
    machine: Callable[..., EtcdLock], etcd: Etcd, group: str
) -> None:
    first, *others = (machine(name) for name in "adcb")
    assert isinstance(first.acquire("2"), Held)
    for number, lock in enumerate(others):
        answer = lock.acquire("2")
        assert isinstance(answer, Waiting)
        assert answer.ahead == number
        assert "1 of 1 places are taken: a" in answer.reason
    assert waiting(etcd, group) == ("d", "c", "b")
    first.release()
    last, middle, next_one = others[::-1]
    for lock in (last, middle):
        assert isinstance(lock.acquire("2"), Waiting)
    assert isinstance(machine("e").acquire("2"), Waiting)
    assert isinstance(next_one.acquire("2"), Held)
    next_one.release()
    assert isinstance(last.acquire("2"), Waiting)
    assert isinstance(middle.acquire("2"), Held)


def test_the_first_of_a_queue_may_overtake_nobody_but_as_many_as_places_are_free_go_at_once(
    machine: Callable[..., EtcdLock], etcd: Etcd, group: str
) -> None:
    held = machine("z")
    held.acquire("2")
    locks = [machine(name) for name in "abcd"]
    for lock in locks:
        lock.acquire("2")
    Group(etcd, group).set_max(3)
    assert isinstance(locks[2].acquire("2"), Waiting)
    assert isinstance(locks[1].acquire("2"), Held)
    assert isinstance(locks[2].acquire("2"), Waiting)
    assert isinstance(locks[0].acquire("2"), Held)
    assert holders(etcd, group) == ("a", "b", "z")


def test_a_waiting_machine_that_is_restarted_keeps_its_place_in_the_queue(
    machine: Callable[..., EtcdLock], etcd: Etcd, group: str
) -> None:
    first, second, third = (machine(name) for name in "abc")
    for lock in (first, second, third, machine("b")):
        lock.acquire("2")
    assert waiting(etcd, group) == ("b", "c")
    first.release()
    assert isinstance(third.acquire("2"), Waiting)
    assert isinstance(machine("b").acquire("2"), Held)


def test_a_waiting_machine_that_died_is_not_waited_for(
    machine: Callable[..., EtcdLock], etcd: Etcd, group: str
) -> None:
    first, third = machine("a"), machine("c")
    first.acquire("2")
    machine("b", ticket=timedelta(seconds=1)).acquire("2")
    third.acquire("2")
    first.release()
    end = time.monotonic() + 60
    while isinstance(third.acquire("2"), Waiting):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert holders(etcd, group) == ("c",)


@pytest.mark.slow
def test_a_waiting_machine_that_asks_keeps_its_ticket(machine: Callable[..., EtcdLock], etcd: Etcd, group: str) -> None:
    machine("a").acquire("2")
    clock = [0.0]
    waiter = EtcdLock(etcd, group, "b", ticket=timedelta(seconds=2), clock=lambda: clock[0])
    end = time.monotonic() + 6
    while time.monotonic() < end:
        assert isinstance(waiter.acquire("2"), Waiting)
        clock[0] += 1
        time.sleep(0.2)
        assert waiting(etcd, group) == ("b",)


@pytest.mark.slow
def test_a_machine_that_died_with_the_lock_holds_it_until_somebody_unlocks_it(
    machine: Callable[..., EtcdLock], etcd: Etcd, group: str
) -> None:
    machine("dead", ticket=timedelta(seconds=1)).acquire("2")
    other = machine("b")
    other.acquire("2")
    (held,) = Group(etcd, group).view().holders
    assert (held.machine, held.since, held.version) == ("dead", NOW, "2")
    time.sleep(3)
    assert isinstance(other.acquire("2"), Waiting)
    Group(etcd, group).unlock("dead")
    assert isinstance(other.acquire("2"), Held)


@pytest.mark.slow
def test_where_places_expire_one_ends_by_itself_and_a_rolled_back_one_does_not(
    machine: Callable[..., EtcdLock], etcd: Etcd, group: str
) -> None:
    Group(etcd, group).set_max(2)
    expiry = timedelta(seconds=2)
    broken = machine("broken", expiry=expiry)
    broken.acquire("2")
    machine("dead", expiry=expiry).acquire("1")
    broken.rolled_back("2", "it did not start")
    other = machine("b", expiry=timedelta(hours=1))
    assert isinstance(other.acquire("1"), Waiting)
    end = time.monotonic() + 60
    while isinstance(other.acquire("1"), Waiting):
        assert time.monotonic() < end
        time.sleep(0.2)
    assert holders(etcd, group) == ("b", "broken")


def test_nothing_is_left_of_a_machine_that_leaves(machine: Callable[..., EtcdLock], one: Cluster) -> None:
    first, second = machine("a"), machine("b")
    first.acquire("2")
    second.acquire("2")
    second.release()
    first.release()
    first.release()
    machine("c").release()
    keys = one.etcdctl("get", "--prefix", "--keys-only", first.keys.base).split()
    assert keys == [first.keys.semaphore]


def test_a_rollback_stops_the_others_until_somebody_clears_it(
    machine: Callable[..., EtcdLock], etcd: Etcd, group: str
) -> None:
    Group(etcd, group).set_max(2)
    broken, other = machine("a"), machine("b")
    broken.acquire("2")
    broken.rolled_back("2", "etcd did not start")
    broken.rolled_back("2", "told twice")
    assert machine("a").acquire("2") == Held(NOW)
    answer = other.acquire("2")
    assert answer == Waiting("version 2 is stopped: machine a rolled it back: etcd did not start", 0)
    stop = other.stopped("2")
    assert stop is not None
    assert (stop.who, stop.when, stop.why) == ("a", NOW, "etcd did not start")
    assert other.stopped("3") is None
    assert isinstance(other.acquire("3"), Held)
    other.release()
    assert Group(etcd, group).clear("2") == ("a",)
    assert holders(etcd, group) == ()
    assert other.stopped("2") is None
    assert isinstance(other.acquire("2"), Held)


@pytest.mark.parametrize("went_before", [False, True])
def test_a_stopped_machine_holds_nobody_up_that_waits_for_another_version(
    went_before: bool, machine: Callable[..., EtcdLock]
) -> None:
    first, second, third = (machine(name) for name in "abc")
    if went_before:
        second.acquire("0")
        second.release()
    first.acquire("1")
    second.acquire("2")
    third.acquire("3")
    machine("z").rolled_back("2", "")
    assert isinstance(second.acquire("2"), Waiting)
    first.release()
    assert isinstance(third.acquire("3"), Held)


def test_the_machine_that_rolled_back_tries_the_next_version_first_and_gives_the_place_back(
    machine: Callable[..., EtcdLock], etcd: Etcd, group: str
) -> None:
    broken, other = machine("a"), machine("b")
    broken.acquire("2")
    broken.rolled_back("2", "no")
    assert isinstance(other.acquire("3"), Waiting)
    assert isinstance(broken.acquire("3"), Held)
    broken.release()
    assert isinstance(other.acquire("3"), Held)
    assert list(Group(etcd, group).view().stops) == ["2"]


def test_a_place_that_an_operator_took_is_before_the_queue(
    machine: Callable[..., EtcdLock], etcd: Etcd, group: str
) -> None:
    first, second = machine("a"), machine("b")
    first.acquire("2")
    second.acquire("2")
    first.release()
    Group(etcd, group).lock("by hand", NOW)
    assert isinstance(second.acquire("2"), Waiting)
    assert holders(etcd, group) == ("by hand",)


def test_a_waiting_machine_is_woken_when_its_turn_comes(machine: Callable[..., EtcdLock]) -> None:
    first, second = machine("a"), machine("b")
    first.acquire("2")
    second.acquire("2")
    first.release()  # before the wait begins: nothing is missed
    begun = time.monotonic()
    second.wait(50)
    assert time.monotonic() - begun < 40
    assert isinstance(second.acquire("2"), Held)


@pytest.mark.parametrize("later", [0.0, 400.0])
def test_a_ticket_whose_lease_has_ended_is_replaced_by_one_with_another_lease(
    later: float, etcd: Etcd, group: str, one: Cluster
) -> None:
    """A lease may end between two looks, and before or after it was due to be renewed."""
    clock = [1000.0]
    holder, waiter = EtcdLock(etcd, group, "a"), EtcdLock(etcd, group, "b", clock=lambda: clock[0])
    holder.acquire("2")
    waiter.acquire("2")
    for _ in range(3):
        ticket = json.loads(one.etcdctl("get", "-w", "json", waiter.keys.ticket("b")))["kvs"][0]
        one.etcdctl("lease", "revoke", f"{ticket['lease']:x}")
        assert waiting(etcd, group) == ()
        clock[0] += later
        assert isinstance(waiter.acquire("2"), Waiting)
        assert waiting(etcd, group) == ("b",)
    holder.release()
    assert isinstance(waiter.acquire("2"), Held)


@pytest.mark.parametrize("years", [-50, 50])
def test_clocks_that_jump_move_nobody(years: int, machine: Callable[..., EtcdLock], etcd: Etcd, group: str) -> None:
    """What the clocks of machines say is shown, and decides nothing; not even where places expire."""
    first, second = machine("a", expiry=timedelta(days=1)), machine("b", expiry=timedelta(days=1))
    first.acquire("2")
    second.acquire("2")
    now = NOW + timedelta(days=365 * years)
    wrong = EtcdLock(etcd, group, "c", expiry=timedelta(days=1), now=lambda: now)
    assert isinstance(wrong.acquire("2"), Waiting)
    assert waiting(etcd, group) == ("b", "c")
    first.release()
    assert isinstance(wrong.acquire("2"), Waiting)
    assert isinstance(second.acquire("2"), Held)
    second.release()
    assert wrong.acquire("2") == Held(now)
    assert isinstance(machine("a", expiry=timedelta(days=1)).acquire("2"), Waiting)


def test_two_at_the_last_place_are_one_holder_and_one_that_waits(etcd: Etcd, group: str) -> None:
    locks = [EtcdLock(etcd, group, f"m{number}") for number in range(8)]
    answers: list[object] = []
    start = threading.Barrier(len(locks))

    def ask(lock: EtcdLock) -> None:
        start.wait()
        answers.append(lock.acquire("2"))

    threads = [threading.Thread(target=ask, args=(lock,)) for lock in locks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(answer) for answer in answers].count(Held) == 1
    assert sorted(answer.ahead for answer in answers if isinstance(answer, Waiting)) == list(range(7))
    assert len(holders(etcd, group)) == 1


def test_groups_know_nothing_of_each_other(etcd: Etcd, group: str, one: Cluster) -> None:
    for name in (group, f"{group}/b", f"{group} b"):
        assert isinstance(EtcdLock(etcd, name, "a").acquire("2"), Held)
        assert isinstance(EtcdLock(etcd, name, "b").acquire("2"), Waiting)
    Group(etcd, f"{group}/b").unlock("a")
    assert holders(etcd, group) == ("a",)
    assert one.etcdctl("get", "--print-value-only", Keys(group).semaphore)


def test_a_place_that_is_kept_stays_so_in_the_next_process(
    machine: Callable[..., EtcdLock], etcd: Etcd, group: str
) -> None:
    first = machine("a")
    first.acquire("2")
    first.rolled_back("2", "no")
    for lock in (first, machine("a")):
        assert lock.acquire("2") == Held(NOW)
        assert [(one.machine, one.rolled_back) for one in Group(etcd, group).view().holders] == [("a", "no")]


@pytest.mark.parametrize("another_process", [False, True])
def test_a_kept_place_that_is_given_back_leaves_the_stop(
    another_process: bool, machine: Callable[..., EtcdLock], etcd: Etcd, group: str
) -> None:
    """As a machine does that has no part in the lock any more: its strategy is ``off`` now."""
    first = machine("a")
    first.acquire("2")
    first.rolled_back("2", "no")
    (machine("a") if another_process else first).release()
    view = Group(etcd, group).view()
    assert view.semaphore.holders == ()
    assert {version: stop.who for version, stop in view.stops.items()} == {"2": "a"}
    assert isinstance(machine("b").acquire("2"), Waiting)
    assert isinstance(machine("b").acquire("3"), Held)
    assert Group(etcd, group).clear("2") == ()
    assert holders(etcd, group) == ("b",)


def test_a_machine_that_was_unlocked_takes_nothing_from_the_next_one(
    machine: Callable[..., EtcdLock], etcd: Etcd, group: str
) -> None:
    first, second = machine("a"), machine("b")
    first.acquire("2")
    Group(etcd, group).unlock("a")
    second.acquire("2")
    first.release()
    view = Group(etcd, group).view()
    assert [one.machine for one in view.holders] == ["b"]
    assert isinstance(first.acquire("2"), Waiting)
