"""A fleet with the agent's own plan, the real lock and Debian's etcd."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.agent.fleet import Box
from tests.update_agent.agent.test_conducting import Machine, Seen
from tests.update_agent.lock.etcd import Cluster, running
from tests.update_agent.reboot.fakes import Semaphore
from update_agent.agent.conducting import Conductor, open_lock
from update_agent.reboot.promise import Book, Promise
from update_agent.state.transitions import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.update_agent.agent.fleet import Repo
    from tests.update_agent.repository.world import Hand
    from update_agent.config.settings import Settings
    from update_agent.lock.coordinator import Lock

SEMAPHORE = "coreos.com/updateengine/rebootlock/semaphore"
IDS = ("a" * 32, "b" * 32, "c" * 32)


class Member(Machine):
    """A machine whose lock is in that etcd."""

    def __init__(self, box: Box, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        box.settings = replace(box.settings, lock_endpoint=",".join(cluster.endpoints))
        super().__init__(box, Semaphore(), name)

    def start(self) -> None:
        def opened(settings: Settings, kind: str, _: str) -> Lock:
            return open_lock(settings, kind, self.name)

        self.box.reboots = Conductor(self.box.told.append, open_lock=opened, means=lambda it: Seen(it, self)).reboots

    def holders(self) -> list[str]:
        return json.loads(self.cluster.etcdctl("get", SEMAPHORE, "--print-value-only"))["holders"] or []


@pytest.fixture
def fleet(tmp_path: Path, repo: Repo, hand: Hand) -> Iterator[list[Member]]:
    with running(1) as cluster:
        for name in IDS:
            (tmp_path / name).mkdir()
        yield [Member(Box(tmp_path / name, repo, hand), cluster, name) for name in IDS]


@pytest.mark.slow
def test_all_are_updated_one_at_a_time(fleet: list[Member], repo: Repo) -> None:
    repo.publish("1.1")
    order = []
    for _ in range(len(fleet) * 3):
        for one in fleet:
            one.box.tick()
            if not one.box.rebooting:
                continue
            order.append(one.name)
            assert one.holders() == [one.name]
            one.boot()
            one.box.tick()
            assert one.box.state == State.PROVING
            # It runs, and is not proved: nobody else may go.
            for other in fleet:
                if other is not one:
                    other.box.tick()
                    assert not other.box.rebooting
            one.box.prove()
            one.box.tick()
    assert sorted(order) == sorted(IDS)
    assert {one.box.version for one in fleet} == {"1.1"}
    assert fleet[0].holders() == []


@pytest.mark.slow
def test_a_rollback_stops_the_fleet(fleet: list[Member], repo: Repo) -> None:
    repo.publish("1.1")
    for _ in range(4):
        for one in fleet:
            one.box.broken.add("1.1")
            one.box.tick()
            if one.box.rebooting:
                one.boot()
                one.box.tick()
    known = {one: one.box.machine.known_bad("1.1") for one in fleet}
    bad = [one for one, why in known.items() if why and "is stopped by" not in why.reason]
    assert len(bad) == 1
    assert {one.box.version for one in fleet} == {"1.0"}
    assert bad[0].holders() == [bad[0].name]
    for one in fleet:
        assert one in bad or f"version 1.1 is stopped by {bad[0].name} since " in one.box.machine.reason
        assert one in bad or sorted(one.box.attributes().values()) == ["0/0/0", "1/0/1"]
    # The next version is taken by all, and the place that was kept goes back.
    repo.publish("1.2")
    for _ in range(12):
        for one in fleet:
            one.box.tick()
            if one.box.rebooting:
                one.boot()
                one.box.tick()
                one.box.prove()
                one.box.tick()
    assert {one.box.version for one in fleet} == {"1.2"}
    assert fleet[0].holders() == []


def test_a_place_that_locksmithctl_took_for_a_reboot_goes_back_when_the_agent_is_there_again(
    fleet: list[Member],
) -> None:
    """Nothing was armed: the machine was rebooted by hand."""
    one = fleet[0]
    open_lock(one.box.settings, "etcd-lock", one.name).acquire("")
    Book(one.box.world.folder).write(Promise("", "etcd-lock"))
    one.start()
    one.box.tick(due=False)
    assert one.holders() == []
    assert not one.owes()


def test_a_machine_whose_strategy_becomes_off_after_a_rollback_keeps_no_place_and_the_others_stay_stopped(
    fleet: list[Member], repo: Repo
) -> None:
    repo.publish("1.1")
    broken, other, _ = fleet
    broken.box.broken.add("1.1")
    broken.box.tick()
    broken.boot()
    broken.box.tick()
    assert broken.box.machine.known_bad("1.1")
    assert broken.holders() == [broken.name]
    broken.box.settings = replace(broken.box.settings, reboot_strategy="off")
    broken.box.tick(due=False)
    assert broken.holders() == []
    assert not broken.owes()
    assert broken.cluster.etcdctl("get", "--prefix", "--keys-only", SEMAPHORE.replace("semaphore", "")).split() == [
        SEMAPHORE,
        SEMAPHORE.replace("semaphore", "stops/1.1"),
    ]
    other.box.tick()
    assert not other.box.rebooting
    assert f"version 1.1 is stopped by {broken.name} since " in other.box.machine.reason
