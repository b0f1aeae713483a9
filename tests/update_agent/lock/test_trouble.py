"""A real etcd in trouble: members frozen, dead and forgetful, tokens that end, certificates, users."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.update_agent.lock.etcd import Cluster, running
from tests.update_agent.lock.proxy import BACK, FORTH, through
from update_agent.lock import repeat, wire
from update_agent.lock.coordinator import Held, Waiting
from update_agent.lock.errors import (
    CommonNameError,
    EndpointError,
    LockAmbiguousError,
    LockCertificateError,
    LockDeniedError,
    LockRefusedError,
    LockUnreachableError,
)
from update_agent.lock.etcd import READ, Access, Etcd, endpoints_of
from update_agent.lock.group import Group
from update_agent.lock.queue import EtcdLock
from update_agent.lock.tls import Tls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT, ROLE = ("root", "a secret"), ("machine", "another secret")


def ordered(cluster: Cluster, first: str) -> Etcd:
    """A client that asks this endpoint first."""
    return Etcd(Access((first, *(one for one in cluster.endpoints if one != first))))


@pytest.mark.slow
def test_the_lock_is_taken_and_given_back_while_the_leader_is_frozen(three: Cluster) -> None:
    for asked in ("leader", "follower"):
        leader = three.leader()
        others = [member for member in three.members if member is not leader]
        first = leader if asked == "leader" else others[0]
        group, etcd = f"frozen {asked}", ordered(three, first.endpoint)
        lock = EtcdLock(etcd, group, "a")
        lock.acquire("1")
        leader.freeze()
        assert isinstance(lock.acquire("2"), Held)
        assert isinstance(EtcdLock(ordered(three, others[1].endpoint), group, "b").acquire("2"), Waiting)
        lock.release()
        leader.thaw()
        three.wait()
        assert Group(three.client(), group).view().semaphore.holders == ()


@pytest.mark.slow
def test_an_answer_of_a_frozen_leader_is_waited_for_longer_than_etcd_waits(three: Cluster) -> None:
    """etcd gives up after 5 s and two elections, and says so; who hangs up before does not learn that others can answer."""
    assert READ > 7
    leader = three.leader()
    follower = next(member for member in three.members if member is not leader)
    alone = Etcd(Access((follower.endpoint,)))
    for member in three.members:
        if member is not follower:
            member.freeze()
    with pytest.raises(LockAmbiguousError) as caught:
        alone.change([], [wire.put("a", b"b")])
    assert "etcdserver: request timed out" in str(caught.value)


@pytest.mark.slow
def test_with_two_members_dead_nothing_is_changed_and_status_is_told_to_be_old(three: Cluster) -> None:
    group = Group(three.client(), "g")
    group.set_max(3)
    survivor, *others = three.members
    for member in others:
        member.kill()
    with pytest.raises((LockUnreachableError, LockAmbiguousError)):
        EtcdLock(Etcd(Access((survivor.endpoint,))), "g", "a").acquire("2")
    view = Group(three.client(), "g").view()
    assert (view.stale, view.semaphore.max, view.semaphore.holders) == (True, 3, ())
    with pytest.raises(LockUnreachableError):
        Group(three.client(), "g").view_for_change()
    for member in others:
        member.start()
    three.wait()
    assert not Group(three.client(), "g").view().stale
    assert isinstance(EtcdLock(three.client(), "g", "a").acquire("2"), Held)


def test_a_dead_endpoint_is_passed_over_and_the_one_that_answered_is_asked_from_then_on(one: Cluster) -> None:
    etcd = Etcd(Access(("http://127.0.0.1:1", *one.endpoints)))
    for _ in range(2):
        assert etcd.look(wire.get("nothing")).found == ((),)


def test_no_endpoint_at_all_is_an_error_with_the_reason_of_each() -> None:
    with pytest.raises(LockUnreachableError) as caught:
        Etcd(Access(("http://127.0.0.1:1", "http://nobody.invalid:2379"))).look(wire.get("a"))
    assert str(caught.value).startswith(
        "the lock cannot be reached: http://127.0.0.1:1: Failed to establish a new connection: [Errno 111] Connection refused; "
        "http://nobody.invalid:2379: "
    )


@pytest.mark.parametrize(
    "text", ["10.0.0.1:2379", "ftp://a", "http://", "http://a:b", "http://a:0", "http://u:p@a", "http://a?b"]
)
def test_what_is_no_endpoint_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(EndpointError) as caught:
        endpoints_of(f"http://good:2379,{text}")
    assert "u:p" not in str(caught.value)


def test_endpoints_are_separated_by_commas() -> None:
    assert endpoints_of("http://a:1/, https://b:2,,http://a:1") == ("http://a:1", "https://b:2")
    assert endpoints_of("") == ()


@contextmanager
def answering(data: bytes) -> Iterator[str]:
    """Something at a port that answers everything with this, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


HEAD = b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (b"404 Not Found", b"404 page not found\n", "no JSON gateway of etcd v3 answers there: 404 page not found"),
        (b"200 OK", b"<html>Welcome</html>", "no JSON gateway of etcd v3 answers there: <html>Welcome</html>"),
        (b"200 OK", b"", "no JSON gateway of etcd v3 answers there: an empty answer of status 200"),
        (b"200 OK", b"[]", "no JSON gateway of etcd v3 answers there: []"),
        (b"200 OK", b"{}", "its answer is none to a transaction"),
        (b"302 Found", b"", "an empty answer of status 302"),
        (
            b"400 Bad Request",
            b"Client sent an HTTP request to an HTTPS server.\n",
            "Client sent an HTTP request to an HTTPS server.",
        ),
        (b"403 Forbidden", b'{"error":"etcdserver: permission denied","code":7}', "etcdserver: permission denied"),
        (b"429 Too Many", b'{"error":"etcdserver: mvcc: database space exceeded","code":8}', "space exceeded; compact"),
    ],
)
def test_an_answer_that_is_no_good_one_is_told_in_its_own_words(status: bytes, body: bytes, told: str) -> None:
    with answering(HEAD % (status, len(body), body)) as endpoint:
        with pytest.raises((LockRefusedError, LockDeniedError)) as caught:
            Etcd(Access((endpoint,))).change([], [])
        assert told in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"nonsense\r\n\r\n"])
def test_a_connection_that_ends_in_the_middle_of_an_answer_leaves_a_change_in_doubt(data: bytes) -> None:
    with answering(data) as endpoint:
        etcd = Etcd(Access((endpoint,)))
        with pytest.raises(LockAmbiguousError):
            etcd.change([], [])
        with pytest.raises(LockUnreachableError):
            etcd.look(wire.get("a"))


class Papers:
    """Certificates in files."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.authority = folder, trustme.CA()
        self.ca = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.ca)
        trustme.CA().cert_pem.write_to_path(str(folder / "other.pem"))
        self.server = self.issue("server")
        self.named = self.issue("named", common_name="machine")

    def issue(self, name: str, common_name: str | None = None) -> tuple[str, str]:
        certificate = self.authority.issue_cert("127.0.0.1", "localhost", common_name=common_name)
        paths = str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key")
        certificate.cert_chain_pems[0].write_to_path(paths[0])
        certificate.private_key_pem.write_to_path(paths[1])
        return paths


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="module")
def guarded(papers: Papers) -> Iterator[Cluster]:
    """With TLS, certificates of clients, and users; a token lives for two seconds."""
    key, public = papers.folder / "jwt.key", papers.folder / "jwt.pub"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", public], check=True, capture_output=True)
    certificate, server_key = papers.server
    options = [
        "--cert-file",
        certificate,
        "--key-file",
        server_key,
        "--trusted-ca-file",
        papers.ca,
        "--client-cert-auth",
    ]
    options += ["--auth-token", f"jwt,pub-key={public},priv-key={key},sign-method=RS256,ttl=2s"]
    shown = ("--cacert", papers.ca, "--cert", certificate, "--key", server_key)
    with running(1, *options, health=shown) as cluster:
        cluster.etcdctl(*shown, "user", "add", ":".join(ROOT))
        cluster.etcdctl(*shown, "user", "grant-role", "root", "root")
        cluster.etcdctl(*shown, "role", "add", "lock")
        cluster.etcdctl(*shown, "role", "grant-permission", "lock", "readwrite", "--prefix", "coreos.com/")
        cluster.etcdctl(*shown, "user", "add", ":".join(ROLE))
        cluster.etcdctl(*shown, "user", "grant-role", "machine", "lock")
        cluster.etcdctl(*shown, "auth", "enable")
        yield cluster


def access(
    cluster: Cluster, papers: Papers, user: tuple[str, str] = ("", ""), paper: tuple[str, str] | None = None
) -> Etcd:
    certificate = paper or papers.server
    return Etcd(Access(cluster.endpoints, Tls(papers.ca, *certificate), *user))


@pytest.mark.slow
def test_a_user_with_the_rights_to_the_keys_of_the_lock_suffices(guarded: Cluster, papers: Papers) -> None:
    lock = EtcdLock(access(guarded, papers, ROLE), "users", "a")
    assert isinstance(lock.acquire("2"), Held)
    assert isinstance(EtcdLock(access(guarded, papers, ROLE), "users", "b").acquire("2"), Waiting)
    lock.release()


@pytest.mark.slow
def test_a_token_that_has_ended_is_replaced_in_the_middle_of_everything(guarded: Cluster, papers: Papers) -> None:
    lock = EtcdLock(access(guarded, papers, ROLE), "tokens", "a")
    for version in "123":
        assert isinstance(lock.acquire(version), Held)
        time.sleep(3)
    lock.release()


def test_a_token_of_an_older_list_of_users_is_replaced(guarded: Cluster, papers: Papers) -> None:
    lock = EtcdLock(access(guarded, papers, ROLE), "older", "a")
    lock.acquire("1")
    certificate, key = papers.server
    guarded.etcdctl(
        "--cacert", papers.ca, "--cert", certificate, "--key", key, "--user", ":".join(ROOT), "user", "add", "x:y"
    )
    assert isinstance(lock.acquire("2"), Held)


def test_without_a_user_with_a_wrong_password_and_without_rights_the_remedy_is_named(
    guarded: Cluster, papers: Papers
) -> None:
    for user, remedy in [
        (("", ""), "set locksmith.etcd-username"),
        (("machine", "wrong"), "check locksmith.etcd-username"),
    ]:
        with pytest.raises(LockDeniedError, match=remedy) as caught:
            EtcdLock(access(guarded, papers, user), "g", "a").acquire("2")
        assert "wrong" not in str(caught.value)
    with pytest.raises(LockDeniedError, match="permission denied; the user needs the right to read and write"):
        access(guarded, papers, ROLE).look(wire.get("another key"))


def test_a_certificate_with_a_common_name_under_authentication_is_explained(guarded: Cluster, papers: Papers) -> None:
    with pytest.raises(CommonNameError) as caught:
        EtcdLock(access(guarded, papers, ROLE, papers.named), "g", "a").acquire("2")
    assert papers.named[0] in str(caught.value)
    assert "use a certificate without CN" in str(caught.value)


def test_a_user_where_etcd_knows_none_is_no_obstacle(one: Cluster) -> None:
    assert isinstance(EtcdLock(Etcd(Access(one.endpoints, Tls(), *ROLE)), "no users", "a").acquire("2"), Held)


def test_an_authority_suffices_without_a_certificate_of_the_machine(papers: Papers) -> None:
    certificate, key = papers.server
    with running(1, "--cert-file", certificate, "--key-file", key, health=("--cacert", papers.ca)) as cluster:
        assert isinstance(EtcdLock(Etcd(Access(cluster.endpoints, Tls(papers.ca))), "g", "a").acquire("2"), Held)
        for tls in (Tls(), Tls(str(papers.folder / "other.pem"))):
            with pytest.raises(LockUnreachableError, match="certificate verify failed"):
                Etcd(Access(cluster.endpoints, tls)).change([], [])


def test_files_that_hold_no_certificates_are_named(papers: Papers) -> None:
    missing = str(papers.folder / "missing.pem")
    for tls, told in [
        (Tls(missing), f"{missing}: no certificates can be read from it: No such file or directory"),
        (Tls(papers.server[1]), "no certificates can be read from it"),
        (Tls(papers.ca, missing), f"{missing}: no certificate with its key"),
        (Tls(papers.ca, papers.server[0], papers.named[1]), "no certificate with its key"),
        (Tls(papers.ca, "", papers.server[1]), "it is a key without a certificate"),
    ]:
        with pytest.raises(LockCertificateError) as caught:
            Etcd(Access(("https://127.0.0.1:1",), tls))
        assert told in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [FORTH, BACK])
@pytest.mark.parametrize("other", [True, False], ids=["another endpoint", "no other endpoint"])
def test_a_network_that_swallows_questions_or_answers_leaves_one_holder(
    lost: str, other: bool, one: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection stays, and nothing is heard: the change was made where the answer was lost, and was not where the question was."""
    group = f"swallowed {lost} {other}"
    monkeypatch.setattr(repeat, "PATIENCE", 1.0)
    with through(one.endpoints[0]) as proxy:
        etcd = Etcd(Access((proxy.endpoint, *(one.endpoints if other else ()))), read=0.5)
        lock = EtcdLock(etcd, group, "a")
        assert isinstance(lock.acquire("1"), Held)
        proxy.cut = {lost}
        if other:
            lock.release()
        else:
            with pytest.raises((LockUnreachableError, LockAmbiguousError)):
                lock.release()
            proxy.cut = set()
            assert isinstance(lock.acquire("2"), Held)
            lock.release()
        assert Group(one.client(), group).view().semaphore.holders == ()
        assert isinstance(EtcdLock(one.client(), group, "b").acquire("2"), Held)
        proxy.cut = set()
        assert isinstance(lock.acquire("2"), Waiting)
        etcd.close()
