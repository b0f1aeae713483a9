"""Answers that stay away: what was asked for may have been done, or be done later by a member that wakes up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.lock.faults import LATER, LOST, NEVER, Faulty
from update_agent.lock import repeat
from update_agent.lock.coordinator import Held, Waiting
from update_agent.lock.errors import (
    HolderExistsError,
    LockAmbiguousError,
    LockBusyError,
    NoHolderError,
    NotStoppedError,
)
from update_agent.lock.group import Group
from update_agent.lock.queue import EtcdLock
from update_agent.lock.semaphore import Semaphore
from update_agent.lock.wire import Txn

if TYPE_CHECKING:
    from collections.abc import Callable

    from update_agent.lock.etcd import Etcd

NOW = datetime(2026, 11, 28, tzinfo=UTC)
FATES = pytest.mark.parametrize("fate", [LOST, NEVER, LATER])


@pytest.fixture
def faulty(etcd: Etcd) -> Faulty:
    return Faulty(etcd)


@pytest.fixture
def machine(faulty: Faulty, group: str) -> Callable[[str], EtcdLock]:
    return lambda name: EtcdLock(faulty, group, name, now=lambda: NOW, rest=lambda: None)  # type: ignore[arg-type]


@pytest.fixture
def seen(etcd: Etcd, group: str) -> Callable[[], Semaphore]:
    return lambda: Group(etcd, group).view().semaphore


@pytest.fixture
def by_hand(faulty: Faulty, group: str) -> Group:
    return Group(faulty, group)  # type: ignore[arg-type]


@FATES
def test_a_lock_is_taken_once(
    fate: str, faulty: Faulty, machine: Callable[[str], EtcdLock], seen: Callable[[], Semaphore]
) -> None:
    faulty.fates = [fate]
    lock = machine("a")
    assert lock.acquire("2") == Held(NOW)
    assert faulty.wake() == 0
    assert seen().holders == ("a",)
    lock.release()
    assert seen().holders == ()


@FATES
def test_a_lock_is_given_back_once(
    fate: str, faulty: Faulty, machine: Callable[[str], EtcdLock], seen: Callable[[], Semaphore]
) -> None:
    lock = machine("a")
    lock.acquire("2")
    faulty.fates = [fate]
    lock.release()
    assert isinstance(lock.acquire("3"), Held)
    assert faulty.wake() == 0
    assert seen().holders == ("a",)


@FATES
def test_a_waiting_machine_has_one_ticket(
    fate: str, faulty: Faulty, machine: Callable[[str], EtcdLock], by_hand: Group
) -> None:
    machine("a").acquire("2")
    faulty.fates = [fate]
    assert isinstance(machine("b").acquire("2"), Waiting)
    faulty.wake()
    assert [one.machine for one in by_hand.view().waiting] == ["b"]


@FATES
def test_a_machine_that_left_the_queue_is_not_put_into_it_by_a_member_that_wakes_up(
    fate: str, faulty: Faulty, machine: Callable[[str], EtcdLock], by_hand: Group
) -> None:
    machine("a").acquire("2")
    lock = machine("b")
    faulty.fates = [fate]
    lock.acquire("2")
    lock.release()
    assert faulty.wake() == 0
    assert by_hand.view().waiting == ()


def test_a_machine_that_was_killed_while_it_took_the_lock_can_be_rid_of_it(
    faulty: Faulty, machine: Callable[[str], EtcdLock], seen: Callable[[], Semaphore], monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.fates = [LATER]
    _killed(machine("a"), lambda lock: lock.acquire("2"), monkeypatch)
    machine("a").release()  # the next process, which does not want it any more
    assert faulty.wake() == 0
    assert seen().holders == ()


def test_a_machine_that_was_killed_while_it_gave_the_lock_back_does_not_reboot_without_it(
    faulty: Faulty, machine: Callable[[str], EtcdLock], seen: Callable[[], Semaphore], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = machine("a")
    lock.acquire("2")
    faulty.fates = [LATER]
    _killed(lock, lambda lock: lock.release(), monkeypatch)
    assert isinstance(machine("a").acquire("2"), Held)
    assert faulty.wake() == 0
    assert seen().holders == ("a",)


class _KillError(Exception):
    pass


def _killed(lock: EtcdLock, act: Callable[[EtcdLock], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends when the answer stays away."""

    def kill() -> None:
        raise _KillError

    monkeypatch.setattr(lock, "_doubt", kill)
    with pytest.raises(_KillError):
        act(lock)


@FATES
def test_what_a_person_changes_is_changed_once(fate: str, faulty: Faulty, by_hand: Group) -> None:
    faulty.fates = [fate]
    old, new = by_hand.set_max(4)
    assert (old.max, new.max) == (1, 4)
    faulty.fates = [fate]
    by_hand.lock("a", NOW)
    with pytest.raises(HolderExistsError):
        by_hand.lock("a", NOW)
    faulty.fates = [fate]
    by_hand.unlock("a")
    with pytest.raises(NoHolderError):
        by_hand.unlock("a")
    by_hand.lock("a", NOW)
    assert faulty.wake() == 0
    assert by_hand.view().semaphore == Semaphore(4, ("a",))


@FATES
def test_a_stop_is_written_and_cleared_once(
    fate: str, faulty: Faulty, machine: Callable[[str], EtcdLock], by_hand: Group
) -> None:
    lock = machine("a")
    lock.acquire("2")
    faulty.fates = [fate]
    lock.rolled_back("2", "no")
    assert lock.stopped("2") is not None
    faulty.fates = [fate]
    by_hand.clear("2")
    assert faulty.wake() == 0
    assert lock.stopped("2") is None
    assert by_hand.view().semaphore.holders == ()
    with pytest.raises(NotStoppedError):
        by_hand.clear("2")


@FATES
def test_a_machine_that_was_sure_before_gives_back_what_it_may_have_been_given(
    fate: str,
    faulty: Faulty,
    machine: Callable[[str], EtcdLock],
    seen: Callable[[], Semaphore],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One process: it had its turn, asks for the next, hears nothing for as long as it has time, and gives up."""
    monkeypatch.setattr(repeat, "PATIENCE", 0.0)
    lock = machine("a")
    lock.acquire("1")
    lock.release()
    faulty.fates = [fate]
    with pytest.raises(LockAmbiguousError):
        lock.acquire("2")
    lock.release()
    assert faulty.wake() == 0
    assert seen().holders == ()


def test_answers_that_stay_away_for_ever_are_an_error(faulty: Faulty, group: str) -> None:
    faulty.fates = [NEVER] * 1000
    moments = iter(range(0, 10000, 10))
    lock = EtcdLock(faulty, group, "a", clock=lambda: float(next(moments)), rest=lambda: None)  # type: ignore[arg-type]
    with pytest.raises(LockAmbiguousError, match="it is not known whether the lock was changed"):
        lock.acquire("2")


def test_others_that_are_always_faster_are_an_error(
    faulty: Faulty, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter(range(0, 10000, 10))
    monkeypatch.setattr(faulty, "change", lambda *_: Txn(False, 1, ()))
    lock = EtcdLock(faulty, group, "a", clock=lambda: float(next(moments)), rest=lambda: None)  # type: ignore[arg-type]
    with pytest.raises(LockBusyError, match="others changed it during each of"):
        lock.acquire("2")
