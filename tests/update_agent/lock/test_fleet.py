"""A fleet updates itself on a real etcd in every trouble meanwhile; etcd's own history says what happened."""

from __future__ import annotations

import random
import threading
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.gptlib.tables import FULL
from tests.update_agent.lock.fleet import Fleet, Size
from tests.update_agent.lock.history import Event, History, gaps, judge
from tests.update_agent.lock.troubles import Troubles
from update_agent.lock.group import Group
from update_agent.lock.keys import Keys
from update_agent.lock.wire import Txn

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.update_agent.lock.etcd import Cluster
    from update_agent.lock.etcd import Etcd
    from update_agent.lock.wire import Json

BASE = Keys("fleet").base


def events(*documents: str | tuple[str, str | None]) -> list[Event]:
    """A history: a text is the document, a pair a ticket that comes or goes."""
    found = []
    for revision, one in enumerate(documents, 1):
        key, value = (f"{BASE}/semaphore", one) if isinstance(one, str) else (f"{BASE}/queue/{one[0]}", one[1])
        found.append(Event(revision, key, None if value is None else value.encode()))
    return found


def document(number: int, *holders: str) -> str:
    names = ",".join(f'"{name}"' for name in holders)
    return f'{{"semaphore":{max(0, number - len(holders))},"max":{number},"holders":[{names}]}}'


@pytest.mark.parametrize(
    ("documents", "wrong"),
    [
        ([document(1), document(1, "a"), document(1)], ""),
        ([document(1), document(1, "a"), document(1, "a", "b")], "2 holders, 1 at most"),
        ([document(2), document(2, "a"), document(2, "a", "b"), document(1, "a", "b"), document(1, "b")], ""),
        (
            [document(2), document(2, "a"), document(2, "a", "b"), document(1, "a", "b"), document(1, "b", "c")],
            "2 holders, 1 at most",
        ),
        ([document(1, "a"), ("b", ""), ("c", ""), document(1), document(1, "c")], "c was let in before 1 others"),
        ([document(1, "a"), ("b", ""), ("c", ""), document(1), document(1, "b")], ""),
        ([document(1, "a"), ("b", ""), document(1), document(1, "c")], "c was let in before 1 others"),
        ([document(1, "a"), ("b", ""), ("b", None), document(1), document(1, "c")], ""),
        ([document(1, "b", "a")], "revision 1"),
    ],
)
def test_the_judge_finds_what_must_not_be(documents: list[str | tuple[str, str | None]], wrong: str) -> None:
    found = judge(events(*documents), BASE).wrong
    assert bool(found) == bool(wrong)
    assert wrong in " ".join(found)


SIZES = {60: Size(60, 3, reboot=0.3, kill=0.02), 1000: Size(1000, 4, dead=3, lost=4, arrive=15.0)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("machines", "places", "rounds", "seconds", "seed"),
    [
        pytest.param(60, 3, 1, 240, 1, id="60 machines"),
        *(
            pytest.param(
                1000, places, 2 if FULL else 1, 900, seed, id=f"1000 machines, seed {seed}", marks=pytest.mark.slow
            )
            for seed, places in enumerate([4, 1, 20] if FULL else [4])
        ),
    ],
)
def test_every_machine_is_updated_and_never_more_at_once_than_may_be(
    machines: int,
    places: int,
    rounds: int,
    seconds: float,
    seed: int,
    cuttable: Cluster,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    person = cuttable.client()
    group = Group(person, "fleet")
    group.set_max(places)
    history = History(cuttable, BASE, tmp_path)
    fleet = Fleet(cuttable, "fleet", seed, replace(SIZES[machines], places=places))
    troubles = Troubles(cuttable, history, lambda: fleet.done / len(fleet.expected), seed, rounds)
    fleet.busy = troubles.busy
    begun = time.monotonic()
    try:
        assert fleet.run(seconds, lambda: troubles(time.monotonic())), fleet.errors
        took = time.monotonic() - begun
        troubles.heal()
        cuttable.wait()
        fleet.unlock_the_dead(person)
        view = group.view_for_change()
        history.wait_for(view.revision)
    finally:
        history.close()
    verdict = judge(history.events, BASE)
    assert verdict.wrong == []
    assert gaps(history.events, history.events[0].revision, view.revision) == []
    assert troubles.plan == []
    assert fleet.most <= places + 2
    assert set(fleet.updated) == fleet.expected
    assert set(fleet.updated.values()) == {1}
    assert set(verdict.taken) >= fleet.expected
    assert view.semaphore.holders == ()
    assert fleet.threads <= 30
    told = (
        f"{machines} machines in {took:.0f} s, {len(verdict.taken)} places taken, at most {verdict.most} at once, in "
    )
    told += f"{verdict.revisions} revisions; {fleet.kills} processes killed, {len(troubles.done)} troubles, {history.watches} watches, "
    record_property("counted", told + f"{fleet.threads} threads, errors {dict(fleet.errors)}")


class Careless:
    """A client whose changes compare nothing that holds a machine up: a lock that forgot to compare."""

    def __init__(self, etcd: Etcd) -> None:
        self._etcd = etcd

    def change(self, _compare: list[Json], success: list[Json]) -> Txn:
        return self._etcd.change([], success)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._etcd, name)


class Pushing(Careless):
    """A client that sees no tickets but its own: a lock whose queue is left out."""

    def change(self, compare: list[Json], success: list[Json]) -> Txn:
        return self._etcd.change([one for one in compare if "range_end" not in one], success)

    def look(self, *gets: Json) -> Txn:
        answer = self._etcd.look(*gets)
        found = [
            () if "max_create_revision" in one["request_range"] else some
            for one, some in zip(gets, answer.found, strict=True)
        ]
        return Txn(answer.succeeded, answer.revision, tuple(found))


@pytest.mark.slow
# Where nothing is compared a place that is taken is given away, or one to somebody whose turn it is not, as it comes.
@pytest.mark.parametrize(("broken", "told"), [(Careless, "places free"), (Pushing, "was let in before")])
def test_the_judge_finds_a_lock_that_is_broken(
    broken: Callable[[Any], Any], told: str, cuttable: Cluster, tmp_path: Path
) -> None:
    """In quiet, and with nobody killed: what it finds is the fault of the lock."""
    Group(cuttable.client(), "fleet").set_max(1)
    history = History(cuttable, BASE, tmp_path)
    fleet = Fleet(cuttable, "fleet", 1, Size(40, 1, dead=0, lost=0, arrive=0.5, kill=0.0), broken)
    try:
        with suppress(AssertionError):  # of a machine that noticed by itself that its place was lost
            fleet.run(60, history.tend)
        history.wait_for(Group(cuttable.client(), "fleet").view_for_change().revision)
    finally:
        history.close()
    assert told in " ".join(judge(history.events, BASE).wrong)


@pytest.mark.slow
def test_a_history_whose_watch_ends_again_and_again_has_no_gap(cuttable: Cluster, tmp_path: Path) -> None:
    """Killed at any moment, cancelled by members without the others, and with what was read compacted away."""
    luck, etcd = random.Random(1), cuttable.client()
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            Group(etcd, "fleet").set_max(luck.randint(1, 9))

    writer = threading.Thread(target=write)
    Group(etcd, "fleet").set_max(1)
    history, network = History(cuttable, BASE, tmp_path), cuttable.network
    assert network is not None
    writer.start()
    try:
        for turn in range(6):
            seen = history.revision
            history.wait_for(seen + luck.randint(20, 60))
            if turn % 2:
                cuttable.etcdctl("compact", str(history.revision))
                history.close()
            else:
                network.cut(*((one.name, other.name) for one in cuttable.members for other in cuttable.members))
                end = time.monotonic() + 60
                watches = history.watches
                while history.watches == watches and time.monotonic() < end:
                    time.sleep(0.1)
                    history.tend()
                network.cut()
                cuttable.wait()
    finally:
        stop.set()
        writer.join()
    last = Group(etcd, "fleet").view_for_change().revision
    history.wait_for(last)
    history.close()
    assert history.watches > 6
    assert gaps(history.events, history.events[0].revision, last) == []


def test_a_gap_in_a_history_is_found() -> None:
    whole = events(document(1), document(1, "a"), document(1), document(1, "b"))
    assert gaps(whole, 1, 4) == []
    assert gaps(whole[:1] + whole[2:], 1, 4) == ["1 revisions are missing, the first is 2"]
    assert gaps(whole[:3], 1, 4) == ["1 revisions are missing, the first is 4"]
    assert gaps([*whole, whole[1]], 1, 4) == ["changes came twice, or not in their order"]
