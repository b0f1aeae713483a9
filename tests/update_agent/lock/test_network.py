"""The network that the fleet's troubles come from: it cuts what it is told to cut, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.update_agent.lock.troubles import both
from update_agent.lock import repeat, wire
from update_agent.lock.coordinator import Held, Waiting
from update_agent.lock.errors import LockAmbiguousError, LockError
from update_agent.lock.etcd import Access, Etcd
from update_agent.lock.group import Group
from update_agent.lock.keys import Keys
from update_agent.lock.queue import EtcdLock
from update_agent.lock.semaphore import Semaphore

if TYPE_CHECKING:
    from tests.update_agent.lock.etcd import Cluster, Member


def answers(endpoint: str, seconds: float = 3.0) -> bool:
    """Whether a member can say what holds in its cluster."""
    etcd = Etcd(Access((endpoint,)), read=seconds)
    try:
        etcd.look(wire.get("a"))
    except LockError:
        return False
    finally:
        etcd.close()
    return True


def others(cluster: Cluster, member: Member) -> list[Member]:
    return [one for one in cluster.members if one is not member]


@pytest.mark.slow
@pytest.mark.parametrize("deaf", [True, False], ids=["it hears nothing", "it is not heard"])
def test_a_member_that_is_cut_off_in_one_direction_cannot_answer_and_the_others_can(
    deaf: bool, cuttable: Cluster
) -> None:
    network = cuttable.network
    assert network is not None
    alone = cuttable.leader()
    rest = others(cuttable, alone)
    network.cut(*((one.name, alone.name) if deaf else (alone.name, one.name) for one in rest))
    assert not answers(alone.endpoint)
    assert any(answers(one.endpoint, 10) for one in rest)
    network.cut()
    cuttable.wait()
    assert all(answers(one.endpoint, 10) for one in cuttable.members)


@pytest.mark.slow
def test_clients_that_are_cut_off_hear_nothing_from_this_member_alone(cuttable: Cluster) -> None:
    network = cuttable.network
    assert network is not None
    for way in (("clients", "m0"), ("m0", "clients")):
        network.cut(way)
        assert [answers(one, 1) for one in cuttable.faces] == [False, True, True]
        assert all(answers(one, 10) for one in cuttable.endpoints)
    network.cut()
    assert all(answers(one, 10) for one in cuttable.faces)


@pytest.mark.slow
def test_a_leader_that_is_cut_off_lets_nobody_in_and_says_that_it_may_be_wrong(
    cuttable: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = cuttable.network
    assert network is not None
    monkeypatch.setattr(repeat, "PATIENCE", 1.0)
    leader = cuttable.leader()
    rest = others(cuttable, leader)
    Group(cuttable.client(), "g").set_max(1)
    network.cut(*both(leader.name, *(one.name for one in rest)))
    alone, whole = (Etcd(Access(some), read=2.0) for some in ((leader.endpoint,), tuple(one.endpoint for one in rest)))
    with pytest.raises(LockError):
        EtcdLock(alone, "g", "a").acquire("2")
    with pytest.raises(LockAmbiguousError):  # one that does not look first
        alone.change([], [wire.put(Keys("g").semaphore, Semaphore(1, ("a",)).to_bytes())])
    assert Group(alone, "g").view().stale
    assert isinstance(EtcdLock(whole, "g", "b").acquire("2"), Held)
    network.cut()
    cuttable.wait()
    view = Group(alone, "g").view()
    assert (view.stale, view.semaphore.holders) == (False, ("b",))
    assert isinstance(EtcdLock(alone, "g", "a").acquire("2"), Waiting)
