"""``update_engine_client``: what it prints and how it ends, against the original's own words.

Expected texts are those of src/update_engine/update_engine_client.cc (flatcar/update_engine), with its lines, and of what users pasted.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.agent.buses import PrivateBus, private_bus
from tests.update_agent.state.machines import NOW, machine_in
from update_agent.agent.bus import Bus
from update_agent.agent.bus_client import CallError, NoBusError, NoServiceError
from update_agent.agent.update_engine import Status
from update_agent.agent.view import view_of
from update_agent.cli.update_engine_client import Client, stored_status
from update_agent.errors import UpdateError
from update_agent.state.errors import StateReadError
from update_agent.state.machine import Progress
from update_agent.state.store import Store
from update_agent.state.transitions import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

IDLE = Status(1714540249, 0.0, "UPDATE_STATUS_IDLE", "0.0.0", 0)
LOADING = Status(1714540249, 0.25, "UPDATE_STATUS_DOWNLOADING", "1.1", 400)
REBOOT = Status(1714540249, 0.0, "UPDATE_STATUS_UPDATED_NEED_REBOOT", "1.1", 400)
# As a user of Flatcar 3815.2.2 pasted it into a bug report, but for the times, which were seconds apart.
PASTED = """\
I0501 05:10:49.327685  1763 update_engine_client.cc:251] Initiating update check and install.
I0501 05:10:49.327685  1763 update_engine_client.cc:256] Waiting for update to complete.
LAST_CHECKED_TIME=1714540249
PROGRESS=0.000000
CURRENT_OP=UPDATE_STATUS_IDLE
NEW_VERSION=0.0.0
NEW_SIZE=0
I0501 05:10:49.327685  1763 update_engine_client.cc:194] No update available
"""
NO_OWNER = "Could not get owner of name 'com.coreos.update1': no such name"
START = "0501 05:10:49.327685  1763 update_engine_client.cc:"


@dataclass
class Service:
    """Answers as it is told; each of ``statuses`` once."""

    statuses: list[Status | UpdateError] = field(default_factory=list)
    missing: UpdateError | None = None
    comes_after: int = 1000
    refusal: UpdateError | None = None
    calls: list[str] = field(default_factory=list)

    def require_service(self) -> None:
        self.comes_after -= 1
        if self.missing and self.comes_after >= 0:
            raise self.missing

    def attempt_update(self) -> None:
        self.calls.append("attempt")
        if self.refusal:
            raise self.refusal

    def reset_status(self) -> None:
        self.calls.append("reset")
        if self.refusal:
            raise self.refusal

    def get_status(self) -> Status:
        found = self.statuses.pop(0)
        if isinstance(found, UpdateError):
            raise found
        return found

    def watch(self, seen: Callable[[Status], None]) -> None:
        for status in self.statuses:
            assert isinstance(status, Status)
            seen(status)


@dataclass
class Run:
    """How it ended, and what was printed: all of it in order, and to standard output alone."""

    code: int
    text: str
    out: str
    slept: list[float]


def run(service: Service, words: str, stored: Status | UpdateError = IDLE) -> Run:
    text: list[str] = []
    out: list[str] = []
    slept: list[float] = []

    def from_file() -> Status:
        if isinstance(stored, UpdateError):
            raise stored
        return stored

    def print_out(line: str) -> None:
        out.append(line)
        text.append(line)

    moment = datetime(2024, 5, 1, 5, 10, 49, 327685, tzinfo=UTC)
    client = Client(service, from_file, print_out, text.append, lambda: moment, slept.append, 1763)
    return Run(client.run(words.split()), "".join(text), "".join(out), slept)


def test_an_update_that_is_none_is_what_a_user_of_flatcar_saw() -> None:
    done = run(Service([IDLE]), "-update")
    assert (done.code, done.text, done.slept) == (0, PASTED, [5.0])


def test_an_update_is_waited_for_until_the_reboot() -> None:
    service = Service([LOADING, LOADING, REBOOT])
    done = run(service, "--update")
    assert (done.code, done.slept, service.calls) == (0, [5.0] * 3, ["attempt"])
    assert done.out.count("CURRENT_OP=UPDATE_STATUS_DOWNLOADING\nNEW_VERSION=1.1\nNEW_SIZE=400\n") == 2
    assert done.text.endswith(f"I{START}198] Update succeeded -- reboot needed.\n")


def test_a_check_does_not_wait() -> None:
    service = Service()
    done = run(service, "-check_for_update")
    assert (done.code, done.text) == (0, f"I{START}251] Initiating update check and install.\n")
    assert service.calls == ["attempt"]


def test_a_check_that_is_refused_aborts() -> None:
    refusal = CallError("org.freedesktop.DBus.Error.AccessDenied", "Rejected send message")
    done = run(Service(refusal=refusal), "-check_for_update")
    assert done.code == 134
    wanted = "Check failed: rc == TRUE (0 vs. 1) Error checking for update: GError(9): Rejected send message"
    assert f"F{START}182] {wanted}\n" in done.text


def test_the_status_is_printed_to_standard_output_alone() -> None:
    done = run(Service([LOADING]), "-status")
    wanted = (
        "LAST_CHECKED_TIME=1714540249\nPROGRESS=0.250000\nCURRENT_OP=UPDATE_STATUS_DOWNLOADING\n"
        "NEW_VERSION=1.1\nNEW_SIZE=400\n"
    )
    assert (done.code, done.out) == (0, wanted)
    assert done.text == f"I{START}241] Querying Update Engine status...\n{wanted}"


def test_a_status_that_is_refused_is_printed_as_c_prints_nothing() -> None:
    done = run(Service([CallError("org.freedesktop.DBus.Error.NoReply", "no reply")]), "-status")
    nothing = "LAST_CHECKED_TIME=0\nPROGRESS=0.000000\nCURRENT_OP=(null)\nNEW_VERSION=(null)\nNEW_SIZE=0\n"
    assert (done.code, done.out) == (0, nothing)
    assert f"I{START}123] Error getting status: GError(4): no reply\n" in done.text


def test_without_the_service_the_status_is_that_of_the_file() -> None:
    missing = NoServiceError("org.freedesktop.DBus.Error.NameHasNoOwner", NO_OWNER)
    done = run(Service(missing=missing), "-status", stored=LOADING)
    assert (done.code, done.slept) == (0, [])
    assert "CURRENT_OP=UPDATE_STATUS_DOWNLOADING\n" in done.out
    assert f"W{START}60] Error getting dbus proxy for com.coreos.update1: GError(3): {NO_OWNER}\n" in done.text


def test_without_a_bus_too() -> None:
    done = run(Service(missing=NoBusError("no bus")), "-status", stored=LOADING)
    assert done.code == 0
    assert "NEW_VERSION=1.1\n" in done.out


@pytest.mark.parametrize(
    "missing", [NoBusError("no bus"), NoServiceError("org.freedesktop.DBus.Error.NameHasNoOwner", NO_OWNER)]
)
def test_without_the_file_either_it_fails(missing: UpdateError) -> None:
    done = run(Service(missing=missing), "-status", stored=StateReadError("/var/lib/slotboot/state.json", "denied", 13))
    assert (done.code, done.out) == (1, "")
    assert (
        "update_engine_client: /var/lib/slotboot/state.json: the state of the agent cannot be read: denied" in done.text
    )


@pytest.mark.parametrize("flag", ["-update", "-check_for_update", "-reset_status", "-watch_for_updates"])
def test_the_service_is_looked_for_four_times(flag: str) -> None:
    missing = NoServiceError("org.freedesktop.DBus.Error.NameHasNoOwner", NO_OWNER)
    done = run(Service(missing=missing), flag)
    assert (done.code, done.slept) == (1, [10.0] * 3)
    warning = f"W{START}60] Error getting dbus proxy for com.coreos.update1: GError(3): {NO_OWNER}\n"
    again = "".join(f"I{START}51] Retrying to get dbus proxy. Try {number}/4\n{warning}" for number in (2, 3, 4))
    giving_up = f"E{START}65] Giving up -- unable to get dbus proxy for com.coreos.update1\n"
    assert done.text.partition("\n")[2] == f"{warning}{again}{giving_up}"


def test_a_service_that_comes_late_is_used() -> None:
    missing = NoServiceError("org.freedesktop.DBus.Error.NameHasNoOwner", NO_OWNER)
    service = Service(missing=missing, comes_after=2)
    done = run(service, "-check_for_update")
    assert (done.code, done.slept, service.calls) == (0, [10.0] * 2, ["attempt"])


def test_a_bus_that_is_not_there_ends_it() -> None:
    done = run(Service(missing=NoBusError("no bus")), "-update")
    assert (done.code, done.text.splitlines()[-1]) == (1, f"E{START}46] Failed to get bus: GError(0): no bus")


def test_a_reset_says_what_the_original_says() -> None:
    done = run(Service(), "-reset_status")
    assert done.code == 0
    assert done.text == (
        f"I{START}227] Setting Update Engine status to idle ...\n"
        f"I{START}233] ResetStatus succeeded; to undo partition table changes run:\n"
        "(D=$(rootdev -d) P=$(rootdev -s); cgpt p -i$(($(echo ${P#$D} | sed 's/^[^0-9]*//')-1)) $D;)\n"
    )


def test_a_reset_that_is_refused_fails() -> None:
    done = run(Service(refusal=CallError("org.freedesktop.DBus.Error.Failed", "not now")), "-reset_status")
    assert (done.code, done.text.splitlines()[-1]) == (1, f"E{START}229] ResetStatus failed.")


def test_signals_are_shown_as_they_come() -> None:
    done = run(Service([replace_progress(LOADING, 1 / 3)]), "-watch_for_updates")
    assert (done.code, done.out) == (1, "")
    assert done.text == (
        f"I{START}265] Watching for status updates.\n"
        f"I{START}80] Got status update:\n"
        f"I{START}81]   last_checked_time: 1714540249\n"
        f"I{START}82]   progress: 0.333333\n"
        f"I{START}83]   current_operation: UPDATE_STATUS_DOWNLOADING\n"
        f"I{START}84]   new_version: 1.1\n"
        f"I{START}85]   new_size: 400\n"
    )


def replace_progress(status: Status, progress: float) -> Status:
    return status._replace(progress=progress)


def test_what_is_asked_for_together_is_done_in_the_order_of_the_original() -> None:
    service = Service([IDLE])
    assert "227]" in run(service, "-update -status -reset_status").text
    assert "241]" in run(service, "-update -status").text
    assert service.calls == ["reset"]


def test_nothing_asked_for_is_done_at_once() -> None:
    done = run(Service(), "")
    assert (done.code, done.text) == (0, f"I{START}270] Done.\n")


def test_a_mistake_ends_it_before_anything_is_done() -> None:
    service = Service()
    done = run(service, "-reset_status -force")
    assert (done.code, done.text) == (1, "ERROR: unknown command line flag 'force'\n")
    assert service.calls == []


def test_help_and_version_end_as_those_of_gflags() -> None:
    shown = run(Service(), "-help")
    assert shown.code == 1
    assert "    -watch_for_updates (Listen for status updates and print them to the screen.) type: bool\n" in shown.out
    assert (run(Service(), "-version").code, run(Service(), "-version").out) == (0, "update_engine_client\n")


def test_the_file_of_the_state_says_what_the_service_would(tmp_path: Path) -> None:
    machine = replace(machine_in(State.DOWNLOADING), progress=Progress(1, 4), checked=NOW)
    with Store(tmp_path).claim() as writer:
        writer.save(machine)
    found = stored_status(tmp_path / "no files", {"SLOTBOOT_STATE_FOLDER": str(tmp_path)})
    assert found == Status(1795867200, 0.25, "UPDATE_STATUS_DOWNLOADING", "1.1", 4)


# The program, and our service, on a bus.
@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with private_bus() as bus:
        yield bus


PROGRAM = [sys.executable, "-c", "from update_agent.cli.update_engine_client import main; main()"]


def program(bus: PrivateBus, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *words], env=bus.environment, capture_output=True, text=True, timeout=60)


def test_the_program_and_the_service_understand_each_other(bus: PrivateBus) -> None:
    calls: list[str] = []

    def reset() -> None:
        calls.append("reset")
        if len(calls) > 2:
            raise UpdateError("not now")

    view = view_of(machine_in(State.ARMED), "1.0", 400)
    service = Bus(lambda: calls.append("attempt"), reset, lambda: view, print, address=bus.address)
    assert service.start()
    try:
        checked = program(bus, "-check_for_update")
        assert checked.returncode == 0, checked.stderr
        pattern = (
            r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ update_engine_client\.cc:251\] Initiating update check and install\.\n"
        )
        assert re.fullmatch(pattern, checked.stderr)
        shown = program(bus, "-status")
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout == (
            "LAST_CHECKED_TIME=1795867200\nPROGRESS=0.000000\nCURRENT_OP=UPDATE_STATUS_UPDATED_NEED_REBOOT\n"
            "NEW_VERSION=1.1\nNEW_SIZE=400\n"
        )
        assert program(bus, "--reset_status").returncode == 0
        assert program(bus, "--reset_status").returncode == 1
    finally:
        service.stop()
    assert calls == ["attempt", "reset", "reset"]


def test_the_program_hears_signals_until_the_bus_goes(bus: PrivateBus) -> None:
    view = view_of(machine_in(State.ARMED), "1.0", 400)
    service = Bus(print, print, lambda: view, lambda _: None, address=bus.address)
    assert service.start()
    ended = threading.Event()

    def publish() -> None:
        while not ended.wait(0.05):
            service.publish(view)

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        argv = [*PROGRAM, "-watch_for_updates"]
        with subprocess.Popen(argv, env=bus.environment, stderr=subprocess.PIPE, text=True) as watching:
            late = threading.Timer(30, watching.kill)
            late.start()
            assert watching.stderr is not None
            lines = [watching.stderr.readline() for _ in range(7)]
            ended.set()
            bus.end()
            assert watching.wait() == 1
            late.cancel()
            watching.stderr.read()
    finally:
        ended.set()
        publisher.join()
        service.stop()
    assert [line.partition("] ")[2].rstrip() for line in lines] == [
        "Watching for status updates.",
        "Got status update:",
        "  last_checked_time: 1795867200",
        "  progress: 0",
        "  current_operation: UPDATE_STATUS_UPDATED_NEED_REBOOT",
        "  new_version: 1.1",
        "  new_size: 400",
    ]
