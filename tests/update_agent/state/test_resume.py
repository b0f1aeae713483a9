"""What a kill, a reboot or a power cut in each state leads to: one row a promise, and no state is left without one."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import pytest

from gptlib.table.attributes import Attributes
from tests.update_agent.state.machines import BAD, BOOT, LATER, NEXT_BOOT, NOW, A, B, machine_in
from update_agent.state.machine import KnownBad, Machine
from update_agent.state.resume import BootFacts, resume
from update_agent.state.transitions import State

S = State


def attributes(short: str) -> Attributes:
    priority, tries, successful = map(int, short.split("/"))
    return Attributes(priority << 48 | tries << 52 | successful << 56)


def facts(
    old: str = "1/0/1", new: str | None = "0/0/0", *, running: str = A, following: str | None = A, boot: str = NEXT_BOOT
) -> BootFacts:
    slots = {A: attributes(old)} | ({B: attributes(new)} if new else {})
    return BootFacts(boot, running, slots, following, {A: "1.0", B: "1.1"} if running == B else {A: "1.0"})


class Row(NamedTuple):
    """A state, what the machine shows, and where it goes on."""

    state: State
    seen: BootFacts
    after: State
    why: str = ""


CLEARED = facts()
ARMED = facts(new="2/3/0", following=B)
ARMED_SAME_BOOT = facts(new="2/3/0", following=B, boot=BOOT)
ON_TRIAL = facts(new="2/2/0", running=B, following=B)
LAST_TRY = facts(new="2/0/0", running=B, following=A)
PROVED = facts(new="2/0/1", running=B, following=B)
USED_UP = facts(new="2/0/0")
USED_UP_CHROMEOS = facts(new="0/0/0")
GONE = facts(new=None)

ROWS = [
    # nothing of ours was on trial
    Row(S.IDLE, CLEARED, S.IDLE),
    Row(S.CHECKING, CLEARED, S.IDLE),
    Row(S.AVAILABLE, CLEARED, S.AVAILABLE),
    *(Row(state, ON_TRIAL, S.PROVING) for state in (S.IDLE, S.CHECKING, S.AVAILABLE)),
    # the slot was being written
    Row(S.DOWNLOADING, CLEARED, S.DOWNLOADING),
    Row(S.VERIFYING, CLEARED, S.AVAILABLE),
    Row(S.INSTALLING, CLEARED, S.AVAILABLE),
    *(Row(state, facts(new="1/0/1"), S.IDLE, "is 1/0/1") for state in (S.DOWNLOADING, S.VERIFYING, S.INSTALLING)),
    *(Row(state, ARMED, S.IDLE, "is 2/3/0") for state in (S.DOWNLOADING, S.VERIFYING)),
    *(Row(state, PROVED, S.IDLE, "runs from the slot") for state in (S.DOWNLOADING, S.VERIFYING)),
    *(Row(state, GONE, S.IDLE, "not on the disk any more") for state in (S.DOWNLOADING, S.VERIFYING, S.INSTALLING)),
    # armed on the disk, and killed before that was noted
    Row(S.INSTALLING, ARMED, S.ARMED),
    Row(S.INSTALLING, ARMED_SAME_BOOT, S.ARMED),
    Row(S.INSTALLING, ON_TRIAL, S.PROVING),
    Row(S.INSTALLING, LAST_TRY, S.PROVING),
    Row(S.INSTALLING, PROVED, S.GOOD),
    Row(S.INSTALLING, USED_UP, S.ROLLED_BACK, "all tries are used up"),
    Row(S.INSTALLING, facts(new="1/3/0"), S.IDLE, "is 1/3/0"),
    # armed, in the same boot
    Row(S.ARMED, ARMED_SAME_BOOT, S.ARMED),
    Row(S.WAITING, ARMED_SAME_BOOT, S.WAITING),
    Row(S.REBOOTING, ARMED_SAME_BOOT, S.WAITING, "has not done it"),
    *(Row(state, facts(boot=BOOT), S.IDLE, "is 0/0/0") for state in (S.ARMED, S.WAITING, S.REBOOTING)),
    *(Row(state, facts(new="2/0/0", boot=BOOT), S.IDLE, "is 2/0/0") for state in (S.ARMED, S.WAITING, S.REBOOTING)),
    Row(S.ARMED, facts(new="2/0/1", following=B, boot=BOOT), S.ARMED),
    # armed, in another boot
    *(Row(state, ON_TRIAL, S.PROVING) for state in (S.ARMED, S.WAITING, S.REBOOTING)),
    *(Row(state, LAST_TRY, S.PROVING) for state in (S.ARMED, S.WAITING, S.REBOOTING)),
    *(Row(state, PROVED, S.GOOD) for state in (S.ARMED, S.WAITING, S.REBOOTING, S.PROVING)),
    *(Row(state, USED_UP, S.ROLLED_BACK, "(2/0/0)") for state in (S.ARMED, S.WAITING, S.REBOOTING, S.PROVING)),
    *(Row(state, USED_UP_CHROMEOS, S.ROLLED_BACK, "(0/0/0)") for state in (S.ARMED, S.WAITING, S.REBOOTING, S.PROVING)),
    *(
        Row(state, ARMED, S.ARMED, "booted the old slot, although")
        for state in (S.ARMED, S.WAITING, S.REBOOTING, S.PROVING)
    ),
    *(
        Row(state, facts(new="1/2/0", old="2/0/1"), S.ROLLED_BACK, "another slot is preferred")
        for state in (S.ARMED, S.WAITING, S.REBOOTING, S.PROVING)
    ),
    *(
        Row(state, facts(new="1/0/1", old="2/0/1"), S.ROLLED_BACK, "it had proved itself, and then")
        for state in (S.ARMED, S.WAITING, S.REBOOTING, S.PROVING)
    ),
    *(Row(state, facts(new="2/0/1", following=B), S.GOOD) for state in (S.ARMED, S.WAITING, S.REBOOTING, S.PROVING)),
    *(Row(state, GONE, S.IDLE, "not on the disk any more") for state in (S.ARMED, S.WAITING, S.REBOOTING)),
    Row(S.PROVING, GONE, S.ROLLED_BACK, "not on the disk any more"),
    # on trial
    Row(S.PROVING, replace(ON_TRIAL, boot_id=BOOT), S.PROVING),
    Row(S.PROVING, ON_TRIAL, S.PROVING),
    Row(S.PROVING, LAST_TRY, S.PROVING),
    # judged, and not reported yet
    Row(S.GOOD, PROVED, S.GOOD),
    Row(S.GOOD, USED_UP, S.GOOD),
    Row(S.ROLLED_BACK, USED_UP, S.ROLLED_BACK),
]


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: f"{row.state}, new {row.seen.slots.get(B)}, runs {row.seen.running[:1]}"
)
def test_a_state_and_what_the_machine_shows_lead_on(row: Row) -> None:
    before = machine_in(row.state, BAD)
    after = resume(before, row.seen, LATER)
    assert after.state is row.after
    assert row.why in after.reason
    # Once more, with the same facts: nothing new.
    assert resume(after, row.seen, LATER).state is row.after
    bad = {"1.0", "1.1"} if row.after is S.ROLLED_BACK else {"1.0"}
    assert {one.version for one in after.bad} == bad
    if row.after in (S.ARMED, S.PROVING, S.GOOD, S.ROLLED_BACK) and row.state is not S.IDLE:
        assert after.version == "1.1"


def test_every_state_has_a_row_for_both_slots() -> None:
    assert {row.state for row in ROWS} == set(State)
    for state in set(State) - {S.GOOD, S.ROLLED_BACK}:
        assert {row.seen.running for row in ROWS if row.state is state} == {A, B}, state


def test_a_trial_that_the_state_knows_nothing_of_is_waited_for_with_the_version_of_the_running_system() -> None:
    after = resume(Machine(since=NOW), ON_TRIAL, LATER)
    assert (after.state, after.version, after.slot, after.boot_id) == (S.PROVING, "1.1", B, NEXT_BOOT)
    nameless = replace(ON_TRIAL, versions={})
    assert resume(Machine(since=NOW), nameless, LATER).version == "unknown"


def test_a_rollback_that_the_state_knows_nothing_of_is_remembered_where_the_slot_says_its_version() -> None:
    seen = replace(USED_UP, versions={A: "1.0", B: "1.1"})
    after = resume(Machine(since=NOW), seen, LATER)
    assert after.state is S.ROLLED_BACK
    assert [bad.version for bad in after.bad] == ["1.1"]
    known = Machine(since=NOW, bad=(KnownBad("1.1", "why", NOW),))
    assert resume(known, seen, LATER) == known
    same = replace(seen, versions={A: "1.1", B: "1.1"})
    assert resume(Machine(since=NOW), same, LATER).state is S.IDLE


def test_a_machine_that_is_never_booted_from_the_new_slot_does_not_reboot_for_ever() -> None:
    machine, states = machine_in(S.REBOOTING), []
    for number in range(3):
        machine = resume(machine, replace(ARMED, boot_id=f"boot {number}"), LATER)
        states.append(machine.state)
    assert states == [S.ARMED, S.ARMED, S.ROLLED_BACK]
    assert "3 boots did not try its slot" in machine.reason


def test_the_first_boot_of_a_new_slot_is_not_taken_for_a_second_one() -> None:
    proving = resume(machine_in(S.REBOOTING), ON_TRIAL, LATER)
    assert proving.boot_id == NEXT_BOOT
    assert resume(proving, ON_TRIAL, LATER) is proving


def test_what_is_resumed_says_since_when() -> None:
    assert resume(machine_in(S.REBOOTING), USED_UP, LATER).since == LATER
    assert resume(machine_in(S.DOWNLOADING), CLEARED, LATER).since == NOW
