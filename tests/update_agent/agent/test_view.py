"""What outsiders see of a machine, and what update_engine's words for it are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.update_agent.state.machines import BAD, LATER, B, machine_in
from update_agent.agent.update_engine import Status, status_of, status_text
from update_agent.agent.view import view_of
from update_agent.state.machine import Progress
from update_agent.state.transitions import State

# The words of UpdateStatusToString in flatcar/update_engine, src/update_engine/update_attempter.cc.
WORDS = {
    State.IDLE: "IDLE",
    State.CHECKING: "CHECKING_FOR_UPDATE",
    State.AVAILABLE: "UPDATE_AVAILABLE",
    State.DOWNLOADING: "DOWNLOADING",
    State.VERIFYING: "VERIFYING",
    State.INSTALLING: "FINALIZING",
    State.ARMED: "UPDATED_NEED_REBOOT",
    State.WAITING: "UPDATED_NEED_REBOOT",
    State.REBOOTING: "UPDATED_NEED_REBOOT",
    State.PROVING: "FINALIZING",
    State.GOOD: "IDLE",
    State.ROLLED_BACK: "REPORTING_ERROR_EVENT",
}


def test_a_view_has_what_the_machine_knows() -> None:
    machine = replace(machine_in(State.DOWNLOADING, BAD), progress=Progress(1, 4), reason="slowly", checked=LATER)
    view = view_of(machine, "1.0", 400)
    assert (view.state, view.running, view.version, view.size, view.progress) == (
        State.DOWNLOADING,
        "1.0",
        "1.1",
        400,
        0.25,
    )
    assert (view.checked, view.since, view.reason, view.slot, view.bad) == (LATER, machine.since, "slowly", B, ("1.0",))


def test_an_update_of_no_bytes_has_no_progress() -> None:
    machine = replace(machine_in(State.VERIFYING), progress=Progress(0, 0))
    assert view_of(machine, "1.0").progress == 0


@pytest.mark.parametrize("state", State)
def test_each_state_has_its_operation(state: State) -> None:
    assert status_of(view_of(machine_in(state), "1.0")).operation == f"UPDATE_STATUS_{WORDS[state]}"


@pytest.mark.parametrize("state", [State.IDLE, State.CHECKING, State.GOOD])
def test_without_an_update_there_is_no_version_and_no_size(state: State) -> None:
    machine = replace(machine_in(state), version="1.1", checked=datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    assert status_of(view_of(machine, "1.0", 400))[:1] == (60,)
    assert status_of(view_of(machine, "1.0", 400))[3:] == ("0.0.0", 0)


def test_the_status_is_printed_as_the_original_prints_it() -> None:
    # From the bug report of a user of Flatcar 3815.2.2, as it stands there.
    found = "LAST_CHECKED_TIME=1714540249\nPROGRESS=0.000000\nCURRENT_OP=UPDATE_STATUS_IDLE\nNEW_VERSION=0.0.0\nNEW_SIZE=0\n"
    assert status_text(Status(1714540249, 0.0, "UPDATE_STATUS_IDLE", "0.0.0", 0)) == found


def test_the_progress_has_six_places_as_printf_has_them() -> None:
    assert "\nPROGRESS=0.333333\n" in status_text(Status(0, 1 / 3, "UPDATE_STATUS_DOWNLOADING", "1.1", 7))
