"""The D-Bus service, judged by the tools of systemd, GLib and D-Bus on a bus of our own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.agent.buses import MANAGER, NAME, PATH, PrivateBus, private_bus
from tests.update_agent.state.machines import machine_in
from update_agent.agent.bus import Bus
from update_agent.agent.view import View, view_of
from update_agent.errors import UpdateError
from update_agent.state.machine import Progress
from update_agent.state.transitions import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
DEADLINE = 20.0
CHECKED = 1795867200
"""``date -u -d 2026-11-28T12:00:00Z +%s``, when the machines of these tests were checked."""


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with private_bus() as bus:
        yield bus


def downloading() -> View:
    machine = replace(
        machine_in(State.DOWNLOADING), progress=Progress(1, 4), checked=datetime(2026, 11, 28, 12, tzinfo=UTC)
    )
    return view_of(machine, "1.0", 400_000_000_000)


@dataclass
class Agent:
    """What the service calls, and what it said."""

    view: View = field(default_factory=downloading)
    calls: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    refusal: str = ""

    def reset(self) -> None:
        if self.refusal:
            raise UpdateError(self.refusal)
        self.calls.append("reset")

    def service(self, address: str, retry: float = 0.05) -> Bus:
        return Bus(
            lambda: self.calls.append("attempt"),
            self.reset,
            lambda: self.view,
            self.lines.append,
            address=address,
            retry=retry,
        )


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.fixture
def service(bus: PrivateBus, agent: Agent) -> Iterator[Bus]:
    service = agent.service(bus.address)
    assert service.start(), agent.lines
    yield service
    service.stop()


def until(met: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not met():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.usefixtures("service")
def test_the_status_has_the_types_of_update_engine(bus: PrivateBus) -> None:
    done = bus.busctl("GetStatus")
    assert done.stdout == 'xdssx 1795867200 0.25 "UPDATE_STATUS_DOWNLOADING" "1.1" 400000000000\n', done.stderr


@pytest.mark.usefixtures("service")
def test_gdbus_and_dbus_send_read_the_same(bus: PrivateBus) -> None:
    call = f"{MANAGER}.GetStatus"
    gdbus = bus.run("gdbus", "call", "--system", "--dest", NAME, "--object-path", PATH, "--method", call)
    assert gdbus.stdout == "(int64 1795867200, 0.25, 'UPDATE_STATUS_DOWNLOADING', '1.1', int64 400000000000)\n"
    send = bus.run("dbus-send", "--system", "--print-reply=literal", f"--dest={NAME}", PATH, call)
    assert send.stdout.split() == [
        "int64",
        "1795867200",
        "double",
        "0.25",
        "UPDATE_STATUS_DOWNLOADING",
        "1.1",
        "int64",
        "400000000000",
    ]


@pytest.mark.usefixtures("service")
def test_the_calls_reach_the_agent(bus: PrivateBus, agent: Agent) -> None:
    assert bus.busctl("AttemptUpdate").returncode == 0
    assert bus.busctl("ResetStatus").returncode == 0
    assert agent.calls == ["attempt", "reset"]


@pytest.mark.usefixtures("service")
def test_a_reset_that_is_refused_says_why(bus: PrivateBus, agent: Agent) -> None:
    agent.refusal = "there is nothing to reset"
    done = bus.busctl("ResetStatus")
    assert (done.returncode, done.stderr) == (1, "Call failed: there is nothing to reset\n")


@pytest.mark.usefixtures("service")
def test_the_interface_describes_itself(bus: PrivateBus) -> None:
    listed = bus.run("busctl", "--system", "introspect", NAME, PATH, MANAGER).stdout
    rows = {tuple(line.split()[:4]) for line in listed.splitlines()[1:]}
    assert rows == {
        (".AttemptUpdate", "method", "-", "-"),
        (".GetStatus", "method", "-", "xdssx"),
        (".ResetStatus", "method", "-", "-"),
        (".StatusUpdate", "signal", "xdssx", "-"),
    }


def heard(bus: PrivateBus, service: Bus, states: tuple[State, ...]) -> list[str]:
    """What gdbus hears of these states, published from as many threads; the first one until it is heard, as it needs a while to listen."""
    lines: list[str] = []
    listening = threading.Event()

    def publish() -> None:
        while not listening.wait(0.1):
            service.publish(view_of(machine_in(states[0]), "1.0", 7))
        for state in states[1:]:
            thread = threading.Thread(target=service.publish, args=[view_of(machine_in(state), "1.0", 7)])
            thread.start()
            thread.join()

    argv = ["gdbus", "monitor", "--system", "--dest", NAME]
    with subprocess.Popen(argv, env=bus.environment, stdout=subprocess.PIPE, text=True) as monitor:
        late = threading.Timer(DEADLINE, monitor.kill)
        late.start()
        publisher = threading.Thread(target=publish)
        publisher.start()
        assert monitor.stdout is not None
        for line in monitor.stdout:
            if MANAGER in line and line.rstrip() not in lines:
                listening.set()
                lines.append(line.rstrip())
            if len(lines) == len(states):
                break
        late.cancel()
        listening.set()
        publisher.join()
        monitor.terminate()
    return lines


def test_a_signal_from_any_thread_is_heard_in_order(bus: PrivateBus, service: Bus) -> None:
    start, checked = (f"{PATH}: {MANAGER}.StatusUpdate (int64 {moment}, 0.0," for moment in (0, CHECKED))
    assert heard(bus, service, (State.CHECKING, State.AVAILABLE, State.ARMED)) == [
        f"{start} 'UPDATE_STATUS_CHECKING_FOR_UPDATE', '0.0.0', int64 0)",
        f"{checked} 'UPDATE_STATUS_UPDATE_AVAILABLE', '1.1', int64 7)",
        f"{checked} 'UPDATE_STATUS_UPDATED_NEED_REBOOT', '1.1', int64 7)",
    ]


@ROOT_ONLY
@pytest.mark.usefixtures("service")
def test_others_may_look_and_not_decide(bus: PrivateBus, agent: Agent) -> None:
    assert bus.busctl("GetStatus", user="nobody").returncode == 0
    for member in ("AttemptUpdate", "ResetStatus"):
        done = bus.busctl(member, user="nobody")
        assert (done.returncode, "Access denied" in done.stderr) == (1, True), done.stderr
    assert agent.calls == []


@ROOT_ONLY
def test_others_may_not_take_the_name(bus: PrivateBus) -> None:
    argv = [
        "dbus-send",
        "--system",
        "--print-reply",
        "--dest=org.freedesktop.DBus",
        "/",
        "org.freedesktop.DBus.RequestName",
    ]
    words = [f"string:{NAME}", "uint32:4"]
    assert "not allowed to own" in bus.run(*argv, *words, user="nobody").stderr
    assert bus.run(*argv, *words).returncode == 0


def test_a_bus_that_is_not_there_is_told_once_and_found_when_it_comes(bus: PrivateBus, agent: Agent) -> None:
    bus.end()
    service = agent.service(bus.address)
    assert not service.start()
    service.publish(agent.view)
    time.sleep(0.3)
    assert len(agent.lines) == 1
    assert "No such file" in agent.lines[0]
    bus.start()
    until(lambda: bus.busctl("GetStatus").returncode == 0)
    service.stop()
    assert bus.busctl("GetStatus").returncode == 1


def test_a_bus_that_starts_anew_is_found_again(bus: PrivateBus, service: Bus, agent: Agent) -> None:
    bus.end()
    until(lambda: bool(agent.lines))
    service.publish(agent.view)
    bus.start()
    until(lambda: bus.busctl("GetStatus").returncode == 0)
    assert '"1.1"' in bus.busctl("GetStatus").stdout


@pytest.mark.usefixtures("service")
def test_a_second_agent_is_told_that_the_name_is_taken(bus: PrivateBus, agent: Agent) -> None:
    second = Agent(view=replace(agent.view, version="9.9"))
    service = second.service(bus.address)
    assert not service.start()
    assert second.lines == [f"no D-Bus interface: another program has the name {NAME}; updates go on without it"]
    assert '"1.1"' in bus.busctl("GetStatus").stdout
    service.stop()


def test_it_stops_whether_it_ever_was_on_the_bus_or_not(agent: Agent) -> None:
    service = agent.service("unix:path=/nonexistent/bus", retry=3600)
    assert not service.start()
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "bus")
    service.stop()
    service.publish(agent.view)
    assert not thread.is_alive()


def test_one_that_was_never_started_stops(agent: Agent) -> None:
    service = agent.service("unix:path=/nonexistent/bus")
    service.publish(agent.view)
    service.stop()
    assert agent.lines == []


def test_without_the_library_that_is_told_and_all_else_goes_on(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "dbus_fast"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "dbus_fast", None)
    service = agent.service("unix:path=/nonexistent/bus")
    assert not service.start()
    service.publish(agent.view)
    service.stop()
    assert agent.lines == ["no D-Bus interface: the library dbus-fast is not installed; updates go on without it"]
