"""What stands beside the document: read whatever is there, written so that a person can read it with etcdctl."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from update_agent.lock.coordinator import Held, Waiting
from update_agent.lock.errors import GroupError
from update_agent.lock.group import Group
from update_agent.lock.keys import Keys
from update_agent.lock.queue import EtcdLock
from update_agent.lock.records import Record, read_time, record_of

if TYPE_CHECKING:
    from tests.update_agent.lock.etcd import Cluster
    from update_agent.lock.etcd import Etcd

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=timezone(timedelta(hours=1)))
GARBAGE = [
    "",
    "nonsense",
    "[]",
    "7",
    '{"since":7,"version":[],"rolled-back":{}}',
    '{"since":"yesterday"}',
    '{"since":"2026-01-01"}',
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_beside_the_document_stands_in_nobody_s_way(garbage: str, one: Cluster, etcd: Etcd, group: str) -> None:
    lock = EtcdLock(etcd, group, "a")
    lock.acquire("2")
    one.etcdctl("put", lock.keys.record("a"), garbage)
    view = Group(etcd, group).view()
    assert view.holders == (Record("a"),)
    assert isinstance(EtcdLock(etcd, group, "a").acquire("2"), Held)
    lock.release()
    assert Group(etcd, group).view().holders == ()


@pytest.mark.parametrize("garbage", GARBAGE)
def test_a_stop_stops_whatever_stands_in_it(garbage: str, one: Cluster, etcd: Etcd, group: str) -> None:
    lock = EtcdLock(etcd, group, "a")
    one.etcdctl("put", lock.keys.stop("2"), garbage)
    assert lock.stopped("2") is not None
    assert isinstance(lock.acquire("2"), Waiting)
    assert isinstance(lock.acquire("3"), Held)
    Group(etcd, group).clear("2")
    assert lock.stopped("2") is None


def test_etcdctl_shows_since_when_why_and_for_which_version(one: Cluster, etcd: Etcd, group: str) -> None:
    lock = EtcdLock(etcd, group, "a/b c", now=lambda: NOW)
    lock.acquire("2")
    keys = Keys(group)
    assert one.etcdctl("get", f"{keys.base}/since/a%2Fb+c", "--print-value-only") == (
        '{"since":"2026-11-28T11:00:00Z","version":"2"}\n'
    )
    EtcdLock(etcd, group, "b", now=lambda: NOW).acquire("3")
    assert one.etcdctl("get", f"{keys.base}/queue/b", "--print-value-only") == (
        '{"since":"2026-11-28T11:00:00Z","version":"3"}\n'
    )
    lock.rolled_back("2", 'it did not "start"')
    assert json.loads(one.etcdctl("get", f"{keys.base}/stops/2", "--print-value-only")) == {
        "machine": "a/b c",
        "since": "2026-11-28T11:00:00Z",
        "reason": 'it did not "start"',
    }
    assert json.loads(one.etcdctl("get", f"{keys.base}/since/a%2Fb+c", "--print-value-only")) == {
        "since": "2026-11-28T11:00:00Z",
        "version": "2",
        "rolled-back": 'it did not "start"',
    }


def test_a_record_that_was_written_is_read_as_it_was() -> None:
    record = Record("a b/c", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2", "it failed", expires=True)
    assert record_of(Keys().record("a b/c"), record.to_bytes()) == record
    assert read_time("2026-01-02T03:04:05") is None


@pytest.mark.parametrize("name", [".", ".."])
def test_a_group_that_would_leave_its_folder_is_refused(name: str, etcd: Etcd) -> None:
    """locksmith joined names as paths: the group '..' was that of nobody."""
    with pytest.raises(GroupError):
        EtcdLock(etcd, name, "a")
