"""A server that says which release a machine takes: the life of updates with it, and what it cannot do where it is hostile."""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.agent.fleet import SIZE, Box, system
from tests.update_agent.omaha_server import APP_ID, PORTAL, OmahaServer
from tests.update_agent.updates import describe, updatectl
from update_agent.agent.bringing import install_medium
from update_agent.agent.checking import check
from update_agent.agent.choice import Wish
from update_agent.agent.obtaining import obtain
from update_agent.agent.outbox import NAME, Outbox
from update_agent.agent.session import Session
from update_agent.agent.wanting import Outcome
from update_agent.cli import common
from update_agent.errors import UpdateError
from update_agent.omaha.errors import OmahaAnswerError
from update_agent.state.transitions import Happening, State
from update_agent.transport import errors
from update_agent.transport.medium import open_medium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tests.update_agent.agent.fleet import Repo
    from tests.update_agent.repository.world import Hand
    from update_agent.repository.release import Release

WAVES = [{"from": "2026-12-09T00:00:00Z", "percent": 100}]
STARTED, FINISHED, INSTALLED = (13, 1, None, None), (14, 1, None, None), (3, 1, None, None)
ROLLED_BACK = (3, 0, "44", None)


def b64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[OmahaServer]:
    with OmahaServer() as started:
        yield started
        assert started.wrong == []


@pytest.fixture
def box(tmp_path: Path, repo: Repo, hand: Hand, server: OmahaServer) -> Box:
    root = str(repo.folder / "metadata/1.root.json")
    return Box(tmp_path, repo, hand, server=server.url, root=root, retries=0)


def offered(server: OmahaServer, repo: Repo, version: str, **more: object) -> Release:
    release = repo.publish(version, **more)  # type: ignore[arg-type]
    server.offer(version, b64(release.sha256))
    return release


def reports(server: OmahaServer) -> list[tuple[int, int, str | None, str | None]]:
    return [told[:4] for told in server.told]


def refused(box: Box) -> str:
    """A check that fails: the reason, with nothing written to the slots."""
    before = box.disk.read_bytes()
    with pytest.raises(UpdateError) as caught:
        box.tick()
    assert box.disk.read_bytes() == before
    assert (box.machine.state, box.machine.reason) == (State.IDLE, str(caught.value))
    return str(caught.value)


def nothing(box: Box) -> str:
    """A check after which there is nothing to install: why, with nothing written to the slots."""
    before = box.disk.read_bytes()
    box.tick()
    assert box.disk.read_bytes() == before
    assert box.state == State.IDLE
    return box.machine.reason


def test_the_whole_life_of_an_update_with_its_five_reports(box: Box, repo: Repo, server: OmahaServer) -> None:
    offered(server, repo, "1.1")
    box.tick()
    assert box.rebooting
    assert reports(server) == [STARTED, FINISHED, INSTALLED]
    box.boot()
    box.tick()
    assert (box.state, len(server.checks)) == (State.PROVING, 1)
    box.prove()
    box.tick()
    assert reports(server) == [STARTED, FINISHED, INSTALLED, (3, 2, None, "1.0")]
    assert [told.version for told in server.told] == ["1.0", "1.0", "1.0", "1.1"]
    assert box.attributes() == {"1.0": "1/0/1", "1.1": "2/0/1"}
    for _ in range(3):
        box.tick()
    assert len(server.told) == 4
    assert box.machine.reason == f"the server at {server.url} has no update for this machine now"
    asked = server.checks[0]
    assert (asked["appid"], asked["track"], asked["machineid"]) == (APP_ID, "stable", "machine")
    assert [check["bootid"] for check in server.checks[:2]] == ["boot-1", "boot-2"]


def test_a_rollback_is_reported_once_with_44_and_not_tried_again(box: Box, repo: Repo, server: OmahaServer) -> None:
    offered(server, repo, "1.1")
    box.broken.add("1.1")
    box.tick()
    box.boot()
    assert box.version == "1.0"
    box.tick()
    assert reports(server)[:4] == [STARTED, FINISHED, INSTALLED, ROLLED_BACK]
    assert server.told[3].version == "1.0"
    assert box.attributes() == {"1.0": "1/0/1", "1.1": "2/0/0"}
    assert nothing(box).startswith("1.1 is not taken again")
    # The server offers it again and again, and hears each time that a rule of the machine is against it.
    assert {told[:3] for told in server.told[4:]} == {(3, 0, "35")}
    assert reports(server).count(ROLLED_BACK) == 1


def test_what_is_owed_waits_on_the_disk_until_the_server_takes_it(box: Box, repo: Repo, server: OmahaServer) -> None:
    offered(server, repo, "1.1")
    box.tick()
    box.boot()
    box.prove()
    server.instead = lambda handler, _check: handler.answer(PORTAL)
    for _ in range(2):
        assert "a web page came" in refused(box)
        assert json.loads((box.world.folder / NAME).read_text())["owed"][0]["previous"] == "1.0"
    server.instead = lambda _handler, _check: False
    box.tick()
    box.tick()
    assert reports(server).count((3, 2, None, "1.0")) == 1
    assert Outbox(box.world.folder).owed() == ()


@pytest.mark.parametrize("broken", [False, True])
def test_a_kill_between_the_verdict_and_its_report_loses_none_and_doubles_none(
    box: Box, repo: Repo, server: OmahaServer, monkeypatch: pytest.MonkeyPatch, *, broken: bool
) -> None:
    class KilledError(BaseException):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    offered(server, repo, "1.1")
    box.broken.update({"1.1"} if broken else ())
    box.tick()
    box.boot()
    if not broken:
        box.prove()
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr("update_agent.agent.settling.note_verdict", killed)
            with pytest.raises(KilledError):
                box.tick()
        assert box.state in (State.GOOD, State.ROLLED_BACK)
    box.tick()
    verdicts = [report for report in reports(server) if report in (ROLLED_BACK, (3, 2, None, "1.0"))]
    assert verdicts == [ROLLED_BACK if broken else (3, 2, None, "1.0")]


def test_a_server_that_takes_no_report_holds_up_no_update(box: Box, repo: Repo, server: OmahaServer) -> None:
    offered(server, repo, "1.1")
    server.instead = lambda handler, check: not check and handler.answer(b"", status=503)
    box.tick()
    assert box.rebooting
    assert box.attributes() == {"1.0": "1/0/1", "1.1": "2/3/0"}
    # The check, and one try of a report: what failed is not tried again in the same update.
    assert (server.posts, server.told) == (2, [])
    assert sum("is not told how this one goes" in line for line in box.told) == 1


def test_a_server_that_is_silent_holds_up_no_update(box: Box, repo: Repo, server: OmahaServer) -> None:
    box.settings = replace(box.settings, minimum_rate_time=box.settings.connect_deadline / 60)
    offered(server, repo, "1.1")
    server.instead = lambda _handler, check: not check and server.over.wait()
    box.tick()
    assert box.rebooting
    assert server.posts == 2


def test_a_server_that_drips_its_thanks_has_ten_seconds(box: Box, repo: Repo, server: OmahaServer) -> None:
    offered(server, repo, "1.1")
    server.instead = lambda handler, check: not check and drip(handler, check)
    box.hand.tick = 0.5
    box.tick()
    assert box.rebooting
    assert server.posts == 2
    assert any("it was not transferred within 10 seconds" in line for line in box.told)


def test_an_update_that_fails_ends_for_the_server_too(box: Box, repo: Repo, server: OmahaServer) -> None:
    release = offered(server, repo, "1.1")
    blob = repo.folder / "blobs" / release.blob
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-1000] + bytes(1000))
    with pytest.raises(UpdateError):
        box.tick()
    assert reports(server) == [STARTED, (3, 0, "9", None)]
    blob.write_bytes(whole)
    box.tick()
    assert box.rebooting
    assert reports(server)[2:] == [STARTED, FINISHED, INSTALLED]


def test_no_update_is_said_with_the_address(box: Box, repo: Repo, server: OmahaServer) -> None:
    repo.publish("1.1")
    assert nothing(box) == f"the server at {server.url} has no update for this machine now"


def test_what_else_a_server_says_is_said(box: Box, repo: Repo, server: OmahaServer) -> None:
    offered(server, repo, "1.1")
    server.updating = True
    assert nothing(box) == f"the server at {server.url} gives no update: error-updateInProgressOnInstance"


def test_the_server_takes_the_place_of_the_waves(box: Box, repo: Repo, server: OmahaServer) -> None:
    offered(server, repo, "1.1", waves=WAVES)
    box.tick()
    assert box.rebooting


def test_the_server_chooses_among_what_is_signed(box: Box, repo: Repo, server: OmahaServer) -> None:
    release = repo.publish("1.1")
    repo.publish("1.2")
    server.offer("1.1", b64(release.sha256), b64(release.blob.partition(".")[0]))
    box.live()
    assert box.version == "1.1"


@pytest.mark.parametrize(
    ("version", "group", "more", "said", "code"),
    [
        ("1.1", "alpha", {}, "1.1 is in the group alpha, and this machine in stable", "35"),
        ("1.1", "stable", {"minimum-version": "1.0.5"}, "1.1 needs version 1.0.5 first, and 1.0 runs", "35"),
        ("0.9", "stable", {}, "names 0.9, and 1.0 runs", "35"),
        ("1.1", "stable", {"name": "other"}, "which is not published for os and slots of type", "10"),
        ("1.1", "stable", {"slot-type": "usr-x86-64"}, "which is not published for os and slots of type", "10"),
    ],
)
def test_what_speaks_against_a_release_speaks_against_it_when_a_server_names_it(
    box: Box, repo: Repo, server: OmahaServer, version: str, group: str, more: dict[str, object], said: str, code: str
) -> None:
    offered(server, repo, version, group=group, **more)
    assert said in nothing(box)
    assert reports(server) == [(3, 0, code, None)]


def test_a_version_that_is_not_signed_is_not_taken(box: Box, repo: Repo, server: OmahaServer) -> None:
    release = repo.publish("1.1")
    server.offer("1.2", b64(release.sha256))
    assert nothing(box).startswith(f"the server at {server.url} names 1.2, which is not published for os")


@pytest.mark.parametrize("where", ["action", "package", "of another version"])
def test_a_hash_that_is_not_signed_for_the_version_is_not_taken(
    box: Box, repo: Repo, server: OmahaServer, where: str
) -> None:
    other, release = repo.publish("1.0.5"), repo.publish("1.1")
    good, bad = b64(release.sha256), b64("ab" * 32)
    server.offer("1.1", {"action": bad}.get(where, good), {"package": bad}.get(where, ""))
    if where == "of another version":
        server.offer("1.1", b64(other.sha256))
    assert nothing(box) == f"the server at {server.url} names another SHA-256 for 1.1 than is signed"
    assert reports(server) == [(3, 0, "10", None)]


def answering(body: bytes, status: int = 200, **headers: str) -> Callable[..., bool]:
    return lambda handler, _check: handler.answer(body, status, **headers)


def hang_up(handler: BaseHTTPRequestHandler, _check: bool) -> bool:
    handler.close_connection = True
    return True


BOMB = b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><response protocol="3.0">&b;</response>'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("instead", "error", "said"),
    [
        (answering(PORTAL), OmahaAnswerError, "is there a portal where one has to log in?"),
        (answering(BOMB), OmahaAnswerError, "it has a document type"),
        (answering(b"<response>" + b"<!-- -->" * (1 << 20)), errors.TooMuchError, "262144 bytes that it may have"),
        (answering(b"\x1f\x8b", 200, **{"Content-Encoding": "gzip"}), errors.EncodedError, "it comes compressed"),
        (answering(b"", 404), errors.MissingError, "404"),
        (answering(b"", 500), errors.BusyError, "500"),
        (answering(b"", 302, Location="ftp://127.0.0.1/"), errors.RedirectError, "redirected to what is no URL"),
        (answering(b"", 303, Location="/"), errors.RedirectError, "what was posted is redirected to a page"),
        (answering(b"", 307, Location="/v1/update/"), errors.RedirectError, "more than 5 redirects"),
        (lambda handler, _: handler.server.over.wait(), errors.TooSlowError, "it stalled"),
        (hang_up, errors.LostError, "closed without an answer"),
    ],
    ids=["portal", "bomb", "huge", "gzip", "404", "500", "ftp", "303", "circles", "silent", "closed"],
)
def test_whatever_a_server_answers_nothing_is_installed_and_the_check_says_why(
    box: Box, repo: Repo, server: OmahaServer, instead: Callable[..., bool], error: type[UpdateError], said: str
) -> None:
    box.settings = replace(box.settings, minimum_rate_time=box.settings.connect_deadline / 60)
    repo.publish("1.1")
    server.instead = instead
    assert said in refused(box)
    with box.session() as session, box.shelf() as shelf, pytest.raises(error):
        check(session, shelf)


def drip(handler: BaseHTTPRequestHandler, _check: bool) -> bool:
    """Every 20 ms a byte."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    with contextlib.suppress(OSError):
        while not handler.server.over.wait(0.02):  # type: ignore[attr-defined]
            handler.wfile.write(b" ")
    return True


def test_a_server_that_drips_is_left(box: Box, repo: Repo, server: OmahaServer) -> None:
    box.settings = replace(box.settings, minimum_rate_time=box.settings.connect_deadline / 60)
    repo.publish("1.1")
    server.instead = drip
    box.hand.tick = 0.05
    assert "bytes came within" in refused(box)


def test_nobody_is_there(box: Box, repo: Repo) -> None:
    box.settings = replace(box.settings, server="http://127.0.0.1:1/")
    repo.publish("1.1")
    assert "cannot be reached" in refused(box)


def test_who_names_a_version_or_a_repository_does_not_ask_the_server(box: Box, repo: Repo, server: OmahaServer) -> None:
    repo.publish("1.1")
    with box.session() as session:
        assert obtain(session, Wish("1.1")).outcome is Outcome.INSTALLED
    assert server.checks == []
    assert reports(server) == [STARTED, FINISHED, INSTALLED]
    assert not Wish(elsewhere=True).bound


def test_a_download_that_was_interrupted_goes_on_without_asking_again(
    box: Box, repo: Repo, server: OmahaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    offered(server, repo, "1.1")
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr("update_agent.agent.steps._Steps.report", killed)
        box.tick()
    assert box.state == State.DOWNLOADING
    box.tick()
    assert box.rebooting
    assert (len(server.checks), reports(server)) == (1, [STARTED, FINISHED, INSTALLED])
    box.boot()
    box.prove()
    box.tick()
    assert reports(server)[-1] == (3, 2, None, "1.0")


def test_an_installation_that_was_killed_while_it_was_read_back_ends_for_the_server_too(
    box: Box, repo: Repo, server: OmahaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def killed(session: Session, *arguments: object, **more: object) -> None:
        if arguments == (Happening.VERIFIED,):
            raise KilledError
        step(session, *arguments, **more)  # type: ignore[arg-type]

    offered(server, repo, "1.1")
    step = Session.step
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(Session, "step", killed)
        box.tick()
    assert box.state == State.VERIFYING
    box.tick()
    assert box.rebooting
    assert reports(server) == [STARTED, FINISHED, (3, 0, "1", None), STARTED, FINISHED, INSTALLED]


def test_an_older_version_is_taken_from_a_server_by_a_person_who_says_so(
    box: Box, repo: Repo, server: OmahaServer
) -> None:
    offered(server, repo, "1.0.0")
    offered(server, repo, "0.9")
    with box.session() as session:
        assert obtain(session, Wish()).outcome is Outcome.NOTHING
        assert obtain(session, Wish(downgrade=True)).version == "0.9"


def test_the_running_version_is_never_what_a_server_selects(box: Box, repo: Repo, server: OmahaServer) -> None:
    release = repo.publish("1.0")
    served = f'<updatecheck status="ok"><manifest version="1.0"><actions><action event="postinstall" sha256="{b64(release.sha256)}"/>'
    body = f'<response protocol="3.0"><app appid="{APP_ID}" status="ok">{served}</actions></manifest></updatecheck></app></response>'
    server.instead = lambda handler, check: check and handler.answer(body.encode())
    with box.session() as session:
        found = obtain(session, Wish(downgrade=True))
    assert (found.outcome, found.reason) == (Outcome.NOTHING, f"the server at {server.url} names 1.0, and 1.0 runs")


def test_a_server_is_not_asked_where_the_repository_cannot_be(box: Box, repo: Repo, server: OmahaServer) -> None:
    """It would count the machine as one that updates."""
    offered(server, repo, "1.1")
    (repo.folder / "metadata/timestamp.json").unlink()
    refused(box)
    assert server.posts == 0


def test_a_server_that_is_disabled_is_not_asked(box: Box, repo: Repo, server: OmahaServer) -> None:
    offered(server, repo, "1.1")
    box.settings = replace(box.settings, server="disabled")
    box.tick()
    assert box.state == State.IDLE
    with box.session() as session:
        assert obtain(session, Wish()).outcome is Outcome.INSTALLED
    assert server.posts == 0


def test_what_a_person_brings_is_reported(box: Box, server: OmahaServer, tmp_path: Path) -> None:
    content = system("1.1")
    (tmp_path / "medium").mkdir()
    (tmp_path / "medium/slot.img").write_bytes(content)
    describe(tmp_path / "medium", content, version="1.1", **{"slot-type": str(box.found.type_guid)})
    with open_medium(tmp_path / "medium") as update, box.session() as session:
        install_medium(session, update, None, 3)
    assert reports(server) == [STARTED, FINISHED, INSTALLED]
    box.boot()
    box.prove()
    box.tick()
    assert reports(server)[3:] == [(3, 2, None, "1.0")]


def test_the_commands_say_what_the_server_says(
    box: Box, repo: Repo, server: OmahaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "STATE_FOLDER": box.settings.state_folder,
        "UPDATE_ROOT": box.settings.root,
        "UPDATE_SERVER": server.url,
        "NETWORK_RETRIES": "0",
        "REBOOT_STRATEGY": "reboot",
    }.items():
        monkeypatch.setenv(f"SLOTBOOT_{name}", value)
    monkeypatch.setattr(common, "here", lambda _settings, _shelf: replace(box.world, selector=None))
    release = repo.publish("1.1", waves=WAVES)
    no_update = f"the server at {server.url} has no update for this machine now"
    assert updatectl("check").stdout == f"nothing to install: {no_update}\n"
    assert json.loads(updatectl("check", "--json").stdout) == {"available": None, "reason": no_update, "about": None}
    server.offer("1.1", b64(release.sha256))
    assert updatectl("check").stdout.startswith("1.1 is available: 3.0 MiB")
    assert updatectl("install").exit_code == 0
    assert reports(server) == [STARTED, FINISHED, INSTALLED]
    assert updatectl("cancel").exit_code == 0
    assert reports(server)[3:] == [(3, 0, "1", None)]
    monkeypatch.setenv("SLOTBOOT_UPDATE_SERVER", "http://127.0.0.1:1/v1/update/")
    failed = updatectl("check")
    assert failed.exit_code == 1
    assert "updatectl: http://127.0.0.1:1/v1/update/: 127.0.0.1 port 1 cannot be reached" in failed.stderr
    assert system("1.1")[:SIZE] in box.disk.read_bytes()
