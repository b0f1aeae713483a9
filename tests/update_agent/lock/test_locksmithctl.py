"""``locksmithctl`` against a real etcd: what locksmith's own command printed, and what it did not have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from tests.update_agent.lock.etcd import free_ports, running
from update_agent.agent import rebooting
from update_agent.cli import locksmith_reboot
from update_agent.cli.locksmithctl import main
from update_agent.lock.coordinator import Held
from update_agent.lock.fleetlock import FleetLock, fleetlock_id
from update_agent.lock.keys import Keys
from update_agent.lock.queue import EtcdLock
from update_agent.lock.serving import FleetLockServer, Service
from update_agent.reboot import strategy
from update_agent.reboot.promise import Book, Promise
from update_agent.reboot.strategy import Unit
from update_agent.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.update_agent.lock.etcd import Cluster
    from update_agent.lock.etcd import Etcd

    Ctl = Callable[..., tuple[int, str, str]]

A, B = "69d27b356a94476da859461d3a3bc6fd", "c0ffee00000000000000000000000000"


def told(result: Result) -> tuple[int, str, str]:
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def ctl(one: Cluster, group: str) -> Ctl:
    """Run it in a group of its own; the exit code, stdout and stderr."""

    def run(*words: str, **environment: str) -> tuple[int, str, str]:
        variables = {"LOCKSMITHCTL_ENDPOINT": one.endpoints[0], "LOCKSMITHCTL_GROUP": group, **environment}
        return told(CliRunner().invoke(main, list(words), env=variables, catch_exceptions=False))

    return run


def test_the_output_is_locksmith_s(ctl: Ctl) -> None:
    assert ctl("status") == (0, "Available: 1\nMax: 1\n", "")
    assert ctl("set-max", "4") == (0, "Old: 1\nNew: 4\n", "")
    assert ctl("lock", B) == (0, "", "")
    assert ctl("lock", A) == (0, "", "")
    code, out, err = ctl("status")
    assert (code, out) == (0, f"Available: 2\nMax: 4\n\nMACHINE ID\n{A}\n{B}\n")
    assert err.startswith(f"{A} has its place since ")
    assert ctl("unlock", A) == (0, "", "")
    assert ctl("status")[1] == f"Available: 3\nMax: 4\n\nMACHINE ID\n{B}\n"


def test_errors_are_locksmith_s(ctl: Ctl) -> None:
    assert ctl("unlock", A) == (1, "", "Error unlocking: holder does not exist\n")
    ctl("lock", A)
    assert ctl("lock", A) == (1, "", "Error locking: holder exists\n")
    assert ctl("lock", B) == (1, "", "Error locking: semaphore is at 0\n")
    assert ctl("set-max") == (1, "", "New maximum value must be set.\n")
    assert ctl("set-max", "1", "2") == (1, "", "New maximum value must be set.\n")
    for word in ("x", "-3", "0", "1.5", "", "9" * 30 + "x"):
        assert ctl("set-max", word) == (1, "", f"Invalid maximum value: {word}\n")
    code, out, err = ctl("status", LOCKSMITHCTL_ENDPOINT="http://127.0.0.1:1")
    assert (code, out) == (1, "")
    assert err.startswith("Error initializing etcd client: the lock cannot be reached: http://127.0.0.1:1: ")
    assert ctl("-etcd-cafile", "/missing", "-endpoint", "https://127.0.0.1:1", "status")[2].startswith(
        "Error initializing etcd client: /missing: "
    )


def test_without_a_command_it_shows_help_and_an_unknown_one_is_a_mistake(ctl: Ctl) -> None:
    assert ctl()[0] == ctl("help")[0] == 0
    assert ctl()[1] == ctl("help")[1]
    assert "set-max" in ctl("help")[1]
    assert "machines may reboot at once" in ctl("help", "set-max")[1]
    for words in (["nonsense"], ["help", "nonsense"], ["-nonsense"]):
        code, out, err = ctl(*words)
        assert (code, out) == (2, "")
        assert "nonsense" in err or "'-n'" in err
    assert ctl("-version")[1].startswith("locksmithctl version ")


def test_options_have_one_dash_as_go_has_it_or_two_and_are_before_variables_and_settings(
    one: Cluster, ctl: Ctl
) -> None:
    dead = "http://127.0.0.1:1"
    assert ctl("-endpoint", dead, "-endpoint", one.endpoints[0], "status")[0] == 0
    assert ctl(f"-endpoint={dead},{one.endpoints[0]}", "status")[0] == 0
    assert ctl("--endpoint", one.endpoints[0], "status", LOCKSMITHCTL_ENDPOINT=dead)[0] == 0
    assert ctl("status", LOCKSMITHCTL_ENDPOINT=f"{dead},{one.endpoints[0]}")[0] == 0
    assert ctl("-group", "another", "set-max", "7")[0] == 0
    assert ctl("status")[1] == "Available: 1\nMax: 1\n"
    assert ctl("status", LOCKSMITHCTL_GROUP="another")[1] == "Available: 7\nMax: 7\n"


def test_group_and_endpoint_are_those_of_the_agent_s_configuration(one: Cluster) -> None:
    settings = {"SLOTBOOT_LOCKSMITH_ENDPOINT": one.endpoints[0], "SLOTBOOT_LOCKSMITH_GROUP": "of the agent"}
    assert told(CliRunner().invoke(main, ["set-max", "3"], env=settings)) == (0, "Old: 1\nNew: 3\n", "")
    assert json.loads(one.etcdctl("get", "--print-value-only", Keys("of the agent").semaphore))["max"] == 3


def test_a_maximum_below_the_holders_lets_nobody_in_until_they_are_gone(ctl: Ctl) -> None:
    ctl("set-max", "2")
    ctl("lock", A)
    ctl("lock", B)
    assert ctl("set-max", "1") == (
        0,
        "Old: 2\nNew: 1\n",
        "2 machines have a place; nobody gets one before fewer than 1 have\n",
    )
    assert ctl("status")[1].startswith("Available: 0\nMax: 1\n")
    ctl("unlock", A)
    assert ctl("lock", "d") == (1, "", "Error locking: semaphore is at 0\n")
    ctl("unlock", B)
    assert ctl("lock", "d")[0] == 0


def test_status_says_since_when_why_who_waits_and_what_is_stopped(ctl: Ctl, etcd: Etcd, group: str) -> None:
    broken, second = EtcdLock(etcd, group, A), EtcdLock(etcd, group, B)
    broken.acquire("3")
    second.acquire("2")
    code, out, err = ctl("status")
    assert (code, out) == (0, f"Available: 0\nMax: 1\n\nMACHINE ID\n{A}\n")
    assert err.splitlines()[0].endswith(", for version 3")
    assert err.splitlines()[1:] == [f"1 waiting: {B}"]
    broken.rolled_back("3", "etcd did not start")
    _, out, err = ctl("status")
    assert out == f"Available: 0\nMax: 1\n\nMACHINE ID\n{A}\n"
    assert ", and keeps it: version 3 was rolled back: etcd did not start\n" in err
    assert f"Nobody starts on version 3: {A} rolled it back at " in err
    assert "'locksmithctl clear 3' ends this" in err
    fields = json.loads(ctl("status", "--json")[1])
    assert {name: fields[name] for name in ("group", "available", "max", "stale")} == {
        "group": group,
        "available": 0,
        "max": 1,
        "stale": False,
    }
    ((holder,), (waiting,), (stop,)) = fields["holders"], fields["waiting"], fields["stops"]
    assert (holder["machine"], holder["version"], holder["rolled-back"]) == (A, "3", "etcd did not start")
    assert (waiting["machine"], waiting["version"]) == (B, "2")
    assert (stop["version"], stop["machine"], stop["reason"]) == ("3", A, "etcd did not start")
    assert ctl("clear", "9") == (
        1,
        "",
        "Error clearing: version 9 is not stopped; 'locksmithctl status' names those that are\n",
    )
    assert ctl("clear", "3") == (0, "", f"machine {A} has given its place back\n")
    assert ctl("status") == (0, "Available: 1\nMax: 1\n", f"1 waiting: {B}\n")


@pytest.mark.slow
def test_status_of_a_member_without_the_others_is_marked() -> None:
    with running(3) as cluster:
        environment = {"LOCKSMITHCTL_ENDPOINT": ",".join(cluster.endpoints)}
        CliRunner().invoke(main, ["set-max", "2"], env=environment)
        for member in cluster.members[1:]:
            member.kill()
        code, out, err = told(CliRunner().invoke(main, ["status"], env=environment))
        assert (code, out) == (0, "Available: 2\nMax: 2\n")
        assert err.startswith("This may be old: ")
        assert json.loads(CliRunner().invoke(main, ["status", "--json"], env=environment).stdout)["stale"] is True


def test_what_is_no_document_is_an_error_with_the_key(ctl: Ctl, one: Cluster, group: str) -> None:
    one.etcdctl("put", Keys(group).semaphore, "nonsense")
    assert ctl("status")[2].startswith(f"Error getting value: {Keys(group).semaphore}: no document of a lock: ")
    assert ctl("lock", A)[2].startswith(f"Error locking: {Keys(group).semaphore}: ")
    assert one.etcdctl("get", "--print-value-only", Keys(group).semaphore) == "nonsense\n"


def test_what_locksmith_left_behind_is_read(ctl: Ctl, one: Cluster, group: str) -> None:
    one.etcdctl("put", Keys(group).semaphore, '{"semaphore":-1,"max":1,"holders":["b","a"]}')
    assert ctl("status") == (0, "Available: 0\nMax: 1\n\nMACHINE ID\na\nb\n", "")
    ctl("unlock", "a")
    assert (
        one.etcdctl("get", "--print-value-only", Keys(group).semaphore) == '{"semaphore":0,"max":1,"holders":["b"]}\n'
    )


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl and a busctl that write down how they were called, and what they are to say; on a machine with an id."""
    calls, folder = tmp_path / "calls", tmp_path / "bin"
    folder.mkdir()
    for name in ("systemctl", "busctl", "reboot"):
        program = folder / name
        program.write_text(
            f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >>{calls}\n[ "$1" = show ] && cat {tmp_path}/units\n'
            f"[ ! -e {tmp_path}/broken ] || {{ echo no bus >&2; exit 1; }}\n"
        )
        program.chmod(0o755)
    (tmp_path / "units").write_text("Id=etcd.service\nLoadState=loaded\nActiveState=inactive\n")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(locksmith_reboot, "this_machine", lambda: A)
    monkeypatch.setattr(rebooting, "_SYSTEMD", tmp_path)
    monkeypatch.setenv("SLOTBOOT_STATE_FOLDER", str(tmp_path / "state"))
    return calls


REBOOT = "systemctl reboot\n"


@pytest.mark.parametrize("strategy", ["reboot", "off"])
def test_reboot_asks_nobody_where_the_strategy_needs_no_lock(strategy: str, ctl: Ctl, systemctl: Path) -> None:
    """Fault 850: etcd was needed."""
    dead = {"LOCKSMITHCTL_ENDPOINT": "http://127.0.0.1:1", "SLOTBOOT_REBOOT_STRATEGY": strategy}
    assert ctl("reboot", **dead) == (0, "", "")
    assert systemctl.read_text() == REBOOT


def test_reboot_takes_the_lock_and_keeps_it(ctl: Ctl, systemctl: Path) -> None:
    for _ in range(2):
        assert ctl("reboot", SLOTBOOT_REBOOT_STRATEGY="etcd-lock") == (0, "", "")
        assert systemctl.read_text().endswith(REBOOT)
        assert A in ctl("status")[1]


def owed(systemctl: Path) -> Promise | None:
    return Book(systemctl.parent / "state").read()


def test_the_agent_knows_after_the_reboot_of_the_place_that_was_taken_for_it(ctl: Ctl, systemctl: Path) -> None:
    assert ctl("reboot", SLOTBOOT_REBOOT_STRATEGY="etcd-lock") == (0, "", "")
    assert owed(systemctl) == Promise("", "etcd-lock")
    mine = Promise("1.1", "etcd-lock", undrain=True)
    Book(systemctl.parent / "state").write(mine)
    assert ctl("reboot", SLOTBOOT_REBOOT_STRATEGY="etcd-lock") == (0, "", "")
    assert owed(systemctl) == mine


def test_an_agent_at_work_is_no_obstacle(ctl: Ctl, systemctl: Path) -> None:
    with Store(systemctl.parent / "state").claim():
        assert ctl("reboot", SLOTBOOT_REBOOT_STRATEGY="etcd-lock") == (0, "", "")
    assert owed(systemctl) == Promise("", "etcd-lock")


def test_a_place_of_a_server_is_taken_for_a_reboot_and_given_back_where_it_fails(
    ctl: Ctl, systemctl: Path, etcd: Etcd, group: str
) -> None:
    server = FleetLockServer(("127.0.0.1", 0), Service(etcd, {"default": group}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    asked = {
        "SLOTBOOT_REBOOT_STRATEGY": "fleet-lock",
        "SLOTBOOT_FLEET_LOCK_URL": f"http://127.0.0.1:{server.server_port}",
    }
    try:
        assert ctl("reboot", **asked) == (0, "", "")
        assert fleetlock_id(A) in ctl("status")[1]
        assert owed(systemctl) == Promise("", "fleet-lock")
        Book(systemctl.parent / "state").write(None)
        (systemctl.parent / "broken").touch()
        assert ctl("reboot", **asked) == (1, "", "Error rebooting: no bus\n")
        assert ctl("status")[1] == "Available: 1\nMax: 1\n"
        assert owed(systemctl) is None
    finally:
        server.shutdown()
        server.server_close()


def test_reboot_without_a_free_place_is_refused(ctl: Ctl, systemctl: Path) -> None:
    ctl("lock", B)
    assert ctl("reboot", SLOTBOOT_REBOOT_STRATEGY="etcd-lock") == (1, "", "Error locking: semaphore is at 0\n")
    assert ctl("reboot") == (1, "", "Error locking: semaphore is at 0\n")
    assert not systemctl.exists()
    assert owed(systemctl) is None


def test_a_reboot_that_fails_leaves_no_lock(ctl: Ctl, systemctl: Path) -> None:
    (systemctl.parent / "broken").touch()
    assert ctl("reboot", SLOTBOOT_REBOOT_STRATEGY="etcd-lock") == (1, "", "Error rebooting: no bus\n")
    assert ctl("status")[1] == "Available: 1\nMax: 1\n"
    assert owed(systemctl) is None
    ctl("lock", A)
    assert ctl("reboot", SLOTBOOT_REBOOT_STRATEGY="etcd-lock")[0] == 1
    assert A in ctl("status")[1]


@pytest.mark.parametrize(
    ("state", "locked"), [("inactive", False), ("active", True), ("failed", True), ("activating", True)]
)
def test_best_effort_without_an_endpoint_needs_the_lock_where_etcd_is_a_unit_here(
    state: str, locked: bool, systemctl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = (Unit("etcd2.service", "inactive"), Unit("etcd.service", state))
    monkeypatch.setattr(strategy, "etcd_units", lambda: units)
    code, _, err = told(CliRunner().invoke(main, ["-group", "nobody/has/this", "reboot"]))
    rebooted = systemctl.exists() and systemctl.read_text().endswith(REBOOT)
    assert (rebooted, code, "Error " in err) == ((False, 1, True) if locked else (True, 0, False))


def test_only_root_reboots(ctl: Ctl, systemctl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert ctl("reboot") == (1, "", "Must be root to initiate reboot.\n")
    assert not systemctl.exists()


def test_send_need_reboot_sends_the_signal_of_the_update_engine(ctl: Ctl, systemctl: Path) -> None:
    assert ctl("send-need-reboot") == (0, "", "")
    assert systemctl.read_text() == (
        "busctl --system emit /com/coreos/update1 com.coreos.update1.Manager StatusUpdate xdssx 0 0 "
        "UPDATE_STATUS_UPDATED_NEED_REBOOT  0\n"
    )
    (systemctl.parent / "broken").touch()
    assert ctl("send-need-reboot") == (1, "", "error emitting signal: no bus\n")


def test_the_server_of_fleetlock_is_started_with_its_groups_and_ends_with_the_signal(one: Cluster, group: str) -> None:
    (port,) = free_ports(1)
    argv = [sys.executable, "-c", "from update_agent.locksmith import main; main()"]
    argv += [
        "-endpoint",
        one.endpoints[0],
        "serve-fleetlock",
        "-listen",
        f"127.0.0.1:{port}",
        "-fleet-group",
        f"default={group}",
    ]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            assert server.stderr.readline() == f"listening on 127.0.0.1:{port} for default\n"
            assert isinstance(FleetLock(f"http://127.0.0.1:{port}", "default", A).acquire("2"), Held)
            assert server.stderr.readline() == "127.0.0.1: /v1/pre-reboot: 200\n"
        finally:
            server.terminate()
        assert server.wait(60) == 143
        assert server.stderr.read() == "locksmithctl: stopped by SIGTERM: 'locksmithctl status' shows what holds\n"
    assert fleetlock_id(A) in json.loads(one.etcdctl("get", "--print-value-only", Keys(group).semaphore))["holders"]


@pytest.mark.parametrize("listen", ["nonsense", "127.0.0.1:x", ":", "127.0.0.1:70000"])
def test_an_address_that_is_none_is_a_mistake(listen: str, ctl: Ctl) -> None:
    code, out, err = ctl("serve-fleetlock", "-listen", listen)
    assert (code, out) == (2, "")
    assert "expected ADDRESS:PORT" in err


def test_the_signal_arrives_as_the_update_engine_sends_it(
    tmp_path: Path, ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a real bus: its path, interface, name and the types of what it carries."""
    config = tmp_path / "bus.conf"
    config.write_text(
        f"<busconfig><type>system</type><listen>unix:path={tmp_path}/bus</listen><auth>EXTERNAL</auth><policy context='default'>"
        "<allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/><allow own='*'/></policy></busconfig>"
    )
    address = f"unix:path={tmp_path}/bus"
    daemon = ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"]
    with subprocess.Popen(daemon, stdout=subprocess.PIPE, text=True) as bus:
        assert bus.stdout is not None
        assert bus.stdout.readline().startswith(address)
        rule = "type='signal',interface='com.coreos.update1.Manager'"
        argv = ["busctl", f"--address={address}", "--json=short", "monitor", f"--match={rule}"]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as monitor:
            assert monitor.stdout is not None
            while "Monitoring bus message stream" not in monitor.stdout.readline():
                assert monitor.poll() is None
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
            assert ctl("send-need-reboot") == (0, "", "")
            message = json.loads(monitor.stdout.readline())
            monitor.terminate()
        bus.terminate()
    assert (message["path"], message["interface"], message["member"]) == (
        "/com/coreos/update1",
        "com.coreos.update1.Manager",
        "StatusUpdate",
    )
    assert message["payload"] == {"type": "xdssx", "data": [0, 0.0, "UPDATE_STATUS_UPDATED_NEED_REBOOT", "", 0]}
