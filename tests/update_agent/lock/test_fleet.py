"""A fleet updates itself on a real etcd that is killed, frozen and compacted meanwhile; etcd's own history says what happened."""

from __future__ import annotations

import random
import signal
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.gptlib.tables import FULL
from tests.update_agent.lock import history
from tests.update_agent.lock.fleet import Fleet, unlock_the_dead
from tests.update_agent.lock.history import Event, judge
from update_agent.lock.errors import LockError
from update_agent.lock.group import Group
from update_agent.lock.keys import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.update_agent.lock.etcd import Cluster, Member
    from update_agent.lock.etcd import Etcd

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


class Trouble:
    """What happens to the members: one after the other is frozen or killed for a while, sometimes two; keys are compacted."""

    def __init__(self, cluster: Cluster, seed: int, output: Path, more: Iterator[Callable[[], object]]) -> None:
        self._cluster, self._luck, self._output, self._more = cluster, random.Random(seed), output, more
        self._next, self._heal = 1.0, list[tuple[float, "Member", str]]()
        self._compacted = 1
        self.done: list[str] = []

    def __call__(self, now: float) -> None:
        for moment, member, what in self._heal[:]:
            if now >= moment:
                member.thaw() if what == "frozen" else member.start()
                self._heal.remove((moment, member, what))
        if now < self._next:
            return
        self._next = now + 1.0 + self._luck.random()
        well = [member for member in self._cluster.members if member not in [one for _, one, _ in self._heal]]
        what = self._luck.choice(["frozen", "killed", "two", "compacted", "person", "person"])
        self.done.append(what)
        if what == "person":
            self._person()
        elif what == "compacted":
            self._compact()
        elif len(well) == 3:
            for member in self._luck.sample(well, 2 if what == "two" else 1):
                self._harm(member, now, "frozen" if what != "killed" else what)

    def _harm(self, member: Member, now: float, what: str) -> None:
        self._heal.append((now + self._luck.uniform(0.3, 2.0), member, what))
        if what == "frozen":
            member.freeze()
        else:
            member.kill()

    def _person(self) -> None:
        try:
            act = next(self._more, None)
            if act is not None:
                act()
        except LockError:
            self.done.append("refused")

    def _compact(self) -> None:
        """What the judge has read already is thrown away."""
        if not self._heal:
            seen = max((event.revision for event in history.events(self._output)), default=0)
            if seen > self._compacted:
                self._compacted = seen
                with suppress(AssertionError):  # a member that has just come back may not answer in time
                    self._cluster.etcdctl("compact", str(seen))

    def heal(self) -> None:
        for _, member, what in self._heal:
            member.thaw() if what == "frozen" else member.start()
        self._heal.clear()
        self._cluster.wait()


def operate(group: Group, fleet: Fleet, etcd: Etcd, most: int) -> None:
    """What an operator does now and then."""
    group.set_max(most)
    unlock_the_dead(fleet, etcd)


@pytest.mark.parametrize(
    ("number", "places", "seconds", "seed"),
    [
        pytest.param(60, 3, 240, 1, id="60 machines"),
        *(
            pytest.param(1000, places, 1500, seed, id=f"1000 machines, seed {seed}", marks=pytest.mark.slow)
            for seed, places in enumerate([4, 1, 20] if FULL else [4])
        ),
    ],
)
def test_every_machine_is_updated_and_never_more_at_once_than_may_be(
    number: int,
    places: int,
    seconds: float,
    seed: int,
    three: Cluster,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    output = tmp_path / "history"
    person = three.client(read=3.0, deadline=9.0)
    group = Group(person, "fleet")
    group.set_max(places)
    watcher = three.watcher(BASE, output)
    dead, lost = frozenset({number // 3}), frozenset({number // 2, number // 2 + 1})
    # Clients that look all the time would be all that the processors do.
    fleet = Fleet(three, "fleet", seed, dead, lost, timedelta(seconds=15 + number // 10))
    maxima = [places + 2, max(1, places - 1), places] * 1000
    acts = (partial(operate, group, fleet, person, most) for most in maxima)
    trouble = Trouble(three, seed, output, acts)
    try:
        fleet.run(number, seconds, trouble)
        trouble.heal()
        unlock_the_dead(fleet, person)
        view = group.view_for_change()
        history.wait_for(output, view.revision)
    finally:
        watcher.send_signal(signal.SIGTERM)
        watcher.wait()
    verdict = judge(list(history.events(output)), BASE)
    assert verdict.wrong == []
    assert fleet.most <= max(maxima)
    out = dead | lost
    assert {f"m{index:04}" for index in range(number) if index not in out} <= set(fleet.updated), fleet.errors
    assert set(fleet.updated.values()) == {1}
    assert view.semaphore.holders == ()
    told = f"{number} machines, {len(verdict.taken)} places taken, at most {verdict.most} at once, in {verdict.revisions} revisions; "
    record_property(
        "counted", told + f"{fleet.kills} processes killed, {len(trouble.done)} troubles, errors {dict(fleet.errors)}"
    )
