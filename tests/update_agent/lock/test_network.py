"""The network that the fleet's troubles come from: it cuts what it is told to cut, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from update_agent.lock import wire
from update_agent.lock.errors import LockError
from update_agent.lock.etcd import Access, Etcd

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


def test_clients_that_are_cut_off_hear_nothing_from_this_member_alone(cuttable: Cluster) -> None:
    network = cuttable.network
    assert network is not None
    for way in (("clients", "m0"), ("m0", "clients")):
        network.cut(way)
        assert [answers(one, 1) for one in cuttable.faces] == [False, True, True]
        assert all(answers(one, 10) for one in cuttable.endpoints)
    network.cut()
    assert all(answers(one, 10) for one in cuttable.faces)
