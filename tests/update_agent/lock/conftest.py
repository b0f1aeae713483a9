"""One etcd for the tests of a session; each has a group, that is keys, of its own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.lock.etcd import Cluster, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from update_agent.lock.etcd import Etcd

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def one() -> Iterator[Cluster]:
    """An etcd of one member, which lives as long as the session: nobody harms it."""
    with running(1) as cluster:
        yield cluster


@pytest.fixture
def three() -> Iterator[Cluster]:
    """An etcd of three members for this test alone."""
    with running(3) as cluster:
        yield cluster


@pytest.fixture
def cuttable() -> Iterator[Cluster]:
    """The same, with a network that can be cut."""
    with running(3, cuttable=True) as cluster:
        yield cluster


@pytest.fixture
def etcd(one: Cluster) -> Iterator[Etcd]:
    client = one.client()
    yield client
    client.close()


@pytest.fixture
def group() -> str:
    """A name that no other test has."""
    return f"test {next(_NUMBERS)}/x"
