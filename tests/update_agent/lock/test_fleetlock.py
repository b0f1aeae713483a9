"""FleetLock: our client, our server, and machines of both kinds at one lock."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import trustme

from update_agent.lock.coordinator import Held, Lock, Waiting
from update_agent.lock.errors import EndpointError, GroupError, LockRefusedError, LockUnreachableError
from update_agent.lock.etcd import Access, Etcd
from update_agent.lock.fleetlock import FleetLock, Identity, body_of, fleetlock_id
from update_agent.lock.group import Group
from update_agent.lock.queue import EtcdLock
from update_agent.lock.serving import FleetLockServer, Service
from update_agent.lock.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

A, B = "0123456789abcdef0123456789abcdef", "ffeeddccbbaa99887766554433221100"


@pytest.mark.parametrize(
    ("machine", "told"), [(A, "583627a932274834a8ebd99f4ed41c0d"), (B, "4572decd7e0d41668f1cdb23890eba08")]
)
def test_the_id_is_the_one_that_zincati_has(machine: str, told: str) -> None:
    """Told by ``systemd-id128 machine-id --app-specific=de35106b6ec24688b63afddaa156679b`` on a machine with that id."""
    assert fleetlock_id(machine) == told


@contextmanager
def serving(service: Service, context: ssl.SSLContext | None = None) -> Iterator[str]:
    with FleetLockServer(("127.0.0.1", 0), service, context) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def url(etcd: Etcd, group: str) -> Iterator[str]:
    with serving(Service(etcd, {"default": group, "other": f"{group} too"})) as url:
        yield url


def post(url: str, body: bytes, header: str | None = "true") -> tuple[int, dict[str, str]]:
    """As a client that we did not write."""
    request = urllib.request.Request(url, body, method="POST")  # noqa: S310
    if header is not None:
        request.add_header("fleet-lock-protocol", header)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            assert answer.read() == b""
            return answer.status, {}
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


GOOD = b'{"client_params": {"group": "default", "id": "c988d2509fdf5cdcbed39037c56406fb"}}'


def test_the_bodies_are_those_of_the_protocol() -> None:
    assert body_of(Identity("c988d2509fdf5cdcbed39037c56406fb", "workers")) == (
        b'{"client_params":{"id":"c988d2509fdf5cdcbed39037c56406fb","group":"workers"}}'
    )


def test_a_machine_gets_a_place_as_often_as_it_asks_and_gives_it_back(url: str, etcd: Etcd, group: str) -> None:
    for _ in range(2):
        assert post(f"{url}/v1/pre-reboot", GOOD) == (200, {})
    assert Group(etcd, group).view().semaphore.holders == ("c988d2509fdf5cdcbed39037c56406fb",)
    for _ in range(2):
        assert post(f"{url}/v1/steady-state", GOOD) == (200, {})
    assert Group(etcd, group).view().semaphore.holders == ()


def test_groups_are_apart(url: str) -> None:
    assert post(f"{url}/v1/pre-reboot", GOOD)[0] == 200
    assert post(f"{url}/v1/pre-reboot", GOOD.replace(b"default", b"other").replace(b"c98", b"d98"))[0] == 200
    assert post(f"{url}/v1/pre-reboot", GOOD.replace(b"c98", b"d98"))[0] == 500


@pytest.mark.parametrize(("kinds", "status", "kind"), [("airlock", 500, "failed_lock"), ("poseidon", 423, "lock_held")])
def test_a_taken_lock_is_told_in_the_words_of_both_servers_and_our_client_waits(
    kinds: str, status: int, kind: str, etcd: Etcd, group: str
) -> None:
    with serving(Service(etcd, {"default": group}, kinds)) as url:
        assert post(f"{url}/v1/pre-reboot", GOOD)[0] == 200
        code, error = post(f"{url}/v1/pre-reboot", GOOD.replace(b"c98", b"d98"))
        assert (code, error["kind"]) == (status, kind)
        assert FleetLock(url, "default", A).acquire("2") == Waiting(
            "all places are taken; 1 machines wait before this one", 0
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "header", "kind"),
    [
        (GOOD, None, "invalid_client_identity"),
        (GOOD, "false", "invalid_client_identity"),
        (b"", "true", "invalid_client_identity"),
        (b"[]", "true", "invalid_client_identity"),
        (b"\xff", "true", "invalid_client_identity"),
        (b'{"client_params":{"id":"a"}}', "true", "invalid_client_identity"),
        (b'{"client_params":{"id":"","group":"default"}}', "true", "invalid_client_identity"),
        (b'{"client_params":{"id":7,"group":"default"}}', "true", "invalid_client_identity"),
        (b'{"client_params":{"id":"a","group":"no blanks"}}', "true", "invalid_client_identity"),
        (b'{"client_params":{"id":"a","group":["x"]}}', "true", "invalid_client_identity"),
        (GOOD.replace(b"default", b"unknown"), "true", "unknown_group"),
    ],
)
def test_who_cannot_be_understood_is_told_why(body: bytes, header: str | None, kind: str, url: str) -> None:
    code, error = post(f"{url}/v1/pre-reboot", body, header)
    assert (code, error["kind"]) == (400, kind)
    assert error["value"]


def test_other_paths_and_long_bodies_are_refused(url: str) -> None:
    assert post(f"{url}/v1/nothing", GOOD)[0] == 404
    assert post(f"{url}/v1/pre-reboot", b" " * (1 << 17))[0] == 413


def test_our_client_takes_the_lock_and_gives_it_back(url: str, etcd: Etcd, group: str) -> None:
    lock: Lock = FleetLock(url, "default", A)
    assert isinstance(lock.acquire("2"), Held)
    assert Group(etcd, group).view().semaphore.holders == (fleetlock_id(A),)
    lock.rolled_back("2", "no")
    assert lock.stopped("2") is None
    assert Group(etcd, group).view().semaphore.holders == (fleetlock_id(A),)
    lock.release()
    assert Group(etcd, group).view().semaphore.holders == ()


def test_machines_of_both_kinds_share_one_lock_in_the_order_in_which_they_came(
    url: str, etcd: Etcd, group: str
) -> None:
    ours, theirs, late = EtcdLock(etcd, group, B), FleetLock(url, "default", A), EtcdLock(etcd, group, "late")
    assert isinstance(ours.acquire("2"), Held)
    assert isinstance(theirs.acquire("2"), Waiting)
    assert isinstance(late.acquire("2"), Waiting)
    ours.release()
    assert isinstance(late.acquire("2"), Waiting)
    assert isinstance(theirs.acquire("2"), Held)


def test_our_client_tells_what_it_was_refused_with(url: str) -> None:
    with pytest.raises(LockRefusedError, match='unknown_group: unknown group "unknown"'):
        FleetLock(url, "unknown", A).acquire("2")
    with pytest.raises(LockUnreachableError, match=r"127\.0\.0\.1:1: Failed to establish"):
        FleetLock("http://127.0.0.1:1", "default", A).acquire("2")
    for bad in ("", "ftp://a", "http://a,http://b"):
        with pytest.raises(EndpointError):
            FleetLock(bad, "default", A)
    with pytest.raises(GroupError):
        FleetLock(url, "no blanks", A)


def test_a_server_without_its_etcd_says_so_and_is_not_taken_for_a_lock_that_is_held(group: str) -> None:
    with serving(Service(Etcd(Access(("http://127.0.0.1:1",))), {"default": group})) as url:
        assert post(f"{url}/v1/pre-reboot", GOOD)[1]["kind"] == "failed_sem_init"
        with pytest.raises(LockUnreachableError, match="failed_sem_init"):
            FleetLock(url, "default", A).acquire("2")
        with pytest.raises(LockUnreachableError, match="failed_sem_init"):
            FleetLock(url, "default", A).release()


def test_with_tls_a_client_that_says_nothing_holds_nobody_up(etcd: Etcd, group: str, tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with serving(Service(etcd, {"default": group}), context) as url:
        silent = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
        lock = FleetLock(url, "default", A, tls=Tls(str(tmp_path / "ca.pem")))
        assert isinstance(lock.acquire("2"), Held)
        with pytest.raises(LockUnreachableError, match="certificate verify failed"):
            FleetLock(url, "default", B).acquire("2")
        silent.close()


def test_metrics_name_holders_those_that_wait_and_stops(url: str, etcd: Etcd, group: str) -> None:
    held, waiting = EtcdLock(etcd, group, 'quo"ted\\'), EtcdLock(etcd, group, "b")
    held.acquire("2")
    waiting.acquire("2")
    held.rolled_back("2", "two\nlines")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    assert 'slotboot_lock_max{group="default"} 1' in lines
    assert 'slotboot_lock_available{group="default"} 0' in lines
    assert 'slotboot_lock_waiting{group="default"} 1' in lines
    assert 'slotboot_lock_holder{group="default",machine="quo\\"ted\\\\"} 2' in lines
    assert 'slotboot_lock_stopped{group="default",version="2",machine="quo\\"ted\\\\",reason="two\\nlines"} 1' in lines
    assert 'slotboot_lock_max{group="other"} 1' in lines


def test_many_at_once_get_as_many_places_as_there_are(url: str, etcd: Etcd, group: str) -> None:
    Group(etcd, group).set_max(3)
    codes: list[int] = []

    def ask(number: int) -> None:
        codes.append(post(f"{url}/v1/pre-reboot", GOOD.replace(b"c988", b"%04d" % number))[0])

    act: Callable[[int], None] = ask
    threads = [threading.Thread(target=act, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] * 3 + [500] * 17
    assert len(Group(etcd, group).view().semaphore.holders) == 3
