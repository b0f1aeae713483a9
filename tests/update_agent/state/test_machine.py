"""The life of an update: what leads where, what is refused, what is remembered."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.update_agent.state.machines import BAD, BOOT, LATER, NEXT_BOOT, NOW, B, event, machine_in
from update_agent.state.errors import InvalidStateError, KnownBadError, NotKnownBadError, TransitionError
from update_agent.state.machine import (
    LONGEST_REASON,
    MOST_BAD,
    MOST_UNTRIED,
    NEEDS,
    Event,
    KnownBad,
    Machine,
    Progress,
    advance,
    forget,
    remember,
)
from update_agent.state.transitions import MEANINGS, NEXT, TRANSITIONS, Happening, State, possible

S, H = State, Happening


def test_the_states_are_those_that_the_operators_were_promised() -> None:
    assert [str(state) for state in State] == [
        "idle",
        "checking",
        "available",
        "downloading",
        "verifying",
        "installing",
        "armed",
        "waiting-to-reboot",
        "rebooting",
        "proving",
        "good",
        "rolled-back",
    ]


def test_a_good_update_goes_through_all_states_and_ends_idle() -> None:
    machine = Machine(since=NOW)
    seen = [machine.state]
    for what in (
        H.CHECK,
        H.FOUND,
        H.BEGIN,
        H.FETCHED,
        H.VERIFIED,
        H.ARM,
        H.HOLD,
        H.REBOOT,
        H.BOOTED,
        H.PROVED,
        H.SETTLE,
    ):
        machine = advance(machine, event(what))
        seen.append(machine.state)
    assert [*dict.fromkeys(seen), S.ROLLED_BACK] == list(State)
    assert (machine.state, machine.version, machine.slot, machine.boot_id, machine.bad) == (
        S.IDLE,
        "1.1",
        None,
        None,
        (),
    )


def test_a_broken_update_is_remembered_with_its_reason_and_not_taken_again() -> None:
    machine = advance(machine_in(S.REBOOTING), event(H.ROLL_BACK, at=LATER, reason="it did not come up"))
    assert machine.bad == (KnownBad("1.1", "it did not come up", LATER),)
    checking = advance(advance(machine, event(H.SETTLE)), event(H.CHECK))
    with pytest.raises(KnownBadError) as refused:
        advance(checking, event(H.FOUND))
    assert "version 1.1 is known to be bad since 2026-11-28T12:45:00Z: it did not come up" in str(refused.value)
    assert advance(checking, event(H.FOUND, version="1.2")).state is S.AVAILABLE


def test_a_person_may_ask_for_a_bad_version_and_it_stays_bad_until_it_proves_itself() -> None:
    machine = advance(machine_in(S.CHECKING, KnownBad("1.1", "why", NOW)), event(H.FOUND, asked=True))
    for what in (H.BEGIN, H.FETCHED, H.VERIFIED, H.ARM, H.REBOOT, H.BOOTED):
        machine = advance(machine, event(what))
        assert machine.known_bad("1.1")
    assert advance(machine, event(H.PROVED)).bad == ()
    assert advance(machine, event(H.ROLL_BACK, reason="again")).bad == (KnownBad("1.1", "again", NOW),)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("what", Happening)
def test_what_the_table_does_not_have_is_refused_by_name_and_what_it_has_leads_there(
    state: State, what: Happening
) -> None:
    machine = machine_in(state)
    if (state, what) in NEXT:
        assert advance(machine, event(what)).state is NEXT[state, what]
        return
    with pytest.raises(TransitionError) as refused:
        advance(machine, event(what))
    assert str(refused.value).startswith(f"'{what}' cannot happen while the update is {state}; it could be ")
    assert all(str(other) in str(refused.value) for other in possible(state))


def test_each_step_stands_in_the_table_once_with_a_sentence() -> None:
    assert len(NEXT) == len(TRANSITIONS)
    assert set(MEANINGS) == set(State)
    for text in (*MEANINGS.values(), *(row.meaning for row in TRANSITIONS)):
        assert text[0].isupper()
        assert text.endswith(".")


def test_the_slot_is_never_written_but_from_idle_by_way_of_a_decision() -> None:
    """No row leads into the writing of a slot while another version may be on trial, or without ``begin``."""
    into = {(row.before, row.what) for row in TRANSITIONS if row.after is S.DOWNLOADING and row.before is not row.after}
    assert into == {(S.AVAILABLE, H.BEGIN)}
    assert {row.before for row in TRANSITIONS if row.after is S.AVAILABLE} == {
        S.IDLE,
        S.CHECKING,
        S.VERIFYING,
        S.INSTALLING,
    }


def reachable(start: State, without: tuple[State, ...] = ()) -> set[State]:
    found, todo = {start}, [start]
    while todo:
        state = todo.pop()
        new = {row.after for row in TRANSITIONS if row.before is state} - found - set(without)
        found |= new
        todo += new
    return found


@pytest.mark.parametrize("state", State)
def test_idle_is_reached_from_every_state_and_every_state_from_idle(state: State) -> None:
    assert S.IDLE in reachable(state)
    assert state in reachable(S.IDLE)


def test_nothing_is_good_that_was_not_on_trial_and_nothing_is_tried_that_was_not_verified() -> None:
    assert {row.before for row in TRANSITIONS if row.after is S.GOOD} == {
        S.INSTALLING,
        S.ARMED,
        S.WAITING,
        S.REBOOTING,
        S.PROVING,
    }
    assert {row.before for row in TRANSITIONS if row.after is S.INSTALLING} == {S.VERIFYING}


def test_the_time_of_a_state_is_that_of_its_beginning() -> None:
    armed = machine_in(S.ARMED)
    waiting = advance(armed, event(H.HOLD, at=LATER, reason="the window opens at 23:00"))
    still = advance(waiting, event(H.HOLD, at=LATER + timedelta(hours=1), reason="the lock is held by another machine"))
    assert (still.since, still.reason) == (LATER, "the lock is held by another machine")


def test_progress_is_kept_while_the_slot_is_written_and_gone_afterwards() -> None:
    machine = advance(machine_in(S.DOWNLOADING), event(H.PROGRESS, progress=Progress(7, 9)))
    assert machine.progress == Progress(7, 9)
    assert (machine.event, machine.since) == (H.BEGIN, NOW)
    assert advance(machine, event(H.INTERRUPT)).progress == Progress(7, 9)
    assert advance(machine, event(H.FETCHED)).progress is None


def test_a_check_that_was_answered_is_noted_and_one_that_failed_is_not() -> None:
    checking = machine_in(S.CHECKING)
    assert advance(checking, event(H.NOTHING, at=LATER)).checked == LATER
    assert advance(checking, event(H.FOUND, at=LATER)).checked == LATER
    assert advance(checking, event(H.FAIL, at=LATER)).checked is None
    assert advance(advance(checking, event(H.NOTHING, at=LATER)), event(H.CHECK)).checked == LATER


def test_boots_that_do_not_try_the_slot_are_counted_until_it_runs() -> None:
    machine = machine_in(S.REBOOTING)
    for count in (1, 2):
        machine = advance(machine, event(H.NOT_TRIED, boot_id=NEXT_BOOT))
        assert (machine.state, machine.untried, machine.boot_id) == (S.ARMED, count, NEXT_BOOT)
        machine = advance(machine, event(H.REBOOT))
    assert advance(machine, event(H.BOOTED)).untried == 0
    assert MOST_UNTRIED == 3


def test_a_clock_that_goes_back_changes_nothing_but_the_time() -> None:
    start = datetime(1970, 1, 1, tzinfo=UTC)
    machine = advance(machine_in(S.ARMED), event(H.HOLD, at=start))
    assert (machine.state, machine.since) == (S.WAITING, start)


def test_times_are_whole_seconds_of_utc_whatever_the_zone() -> None:
    at = datetime(2026, 11, 28, 13, 30, 15, 999999, tzinfo=timezone(timedelta(hours=1)))
    assert Event(H.CHECK, at).at == datetime(2026, 11, 28, 12, 30, 15, tzinfo=UTC)
    with pytest.raises(InvalidStateError, match="has no zone"):
        Event(H.CHECK, datetime(2026, 11, 28, 12))  # noqa: DTZ001


def test_a_reason_is_one_printable_line_of_bounded_length() -> None:
    assert event(H.FAIL, reason="one\ntwo\x1b[2J").reason == "one\\ntwo\\x1b[2J"
    assert len(event(H.FAIL, reason="x" * 1000).reason) == LONGEST_REASON


@pytest.mark.parametrize("what", NEEDS)
def test_an_event_that_does_not_say_what_it_must_is_never_made(what: Happening) -> None:
    for name in NEEDS[what]:
        with pytest.raises(InvalidStateError, match=f"'{what}' does not say its {name}"):
            event(what, **{name: None if name != "reason" else ""})


@pytest.mark.parametrize("version", ["", "x" * 256, "1.1\n", "1.1\u202e"])
def test_a_version_that_cannot_be_one_is_refused(version: str) -> None:
    with pytest.raises(InvalidStateError):
        event(H.FOUND, version=version)


@pytest.mark.parametrize(
    ("state", "changes"),
    [
        (S.AVAILABLE, {"version": None}),
        (S.DOWNLOADING, {"slot": None}),
        (S.ARMED, {"boot_id": None}),
        (S.IDLE, {"progress": Progress(1, 2)}),
        (S.IDLE, {"untried": MOST_UNTRIED + 1}),
        (S.IDLE, {"since": NOW.replace(tzinfo=None)}),
        (S.IDLE, {"since": NOW.replace(microsecond=1)}),
        (S.IDLE, {"bad": (BAD, BAD)}),
        (S.IDLE, {"reason": "two\nlines"}),
    ],
)
def test_a_machine_whose_values_do_not_belong_together_is_never_made(state: State, changes: dict[str, object]) -> None:
    with pytest.raises(InvalidStateError):
        dataclasses.replace(machine_in(state), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(("done", "total"), [(-1, 5), (6, 5)])
def test_impossible_progress_is_refused(done: int, total: int) -> None:
    with pytest.raises(InvalidStateError):
        Progress(done, total)


def test_what_is_forgotten_may_be_taken_again() -> None:
    machine = machine_in(S.CHECKING, BAD, KnownBad("1.1", "why", NOW))
    freed = forget(machine, "1.1")
    assert freed.bad == (BAD,)
    assert advance(freed, event(H.FOUND)).state is S.AVAILABLE
    with pytest.raises(NotKnownBadError, match=r"version 9 is not known to be bad; known are 1\.0"):
        forget(freed, "9")


def test_what_is_remembered_is_bounded_and_the_newest_stay() -> None:
    many = [KnownBad(str(number), "why", NOW) for number in range(MOST_BAD + 5)]
    kept = remember((), *many)
    assert len(kept) == MOST_BAD
    assert kept[-1].version == str(MOST_BAD + 4)
    again = remember(kept, KnownBad("7", "again", LATER))
    assert [bad.reason for bad in again if bad.version == "7"] == ["again"]


def test_the_slot_and_the_boot_belong_to_the_states_in_which_they_mean_something() -> None:
    armed = machine_in(S.ARMED)
    assert (armed.slot, armed.boot_id) == (B, BOOT)
    idle = advance(armed, event(H.CANCEL))
    assert (idle.slot, idle.boot_id) == (None, None)
