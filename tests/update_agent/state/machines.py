"""Machines and events for tests: the happy path, and random ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from update_agent.state.machine import Event, KnownBad, Machine, Progress, advance
from update_agent.state.transitions import Happening, State

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=45)
A, B = "7130c94a-213a-4e5a-8e26-6cce9662f132", "e03dd35c-7c2d-4a47-b3fe-27f15780a57c"
BOOT, NEXT_BOOT = "b0070000-0000-4000-8000-000000000001", "b0070000-0000-4000-8000-000000000002"
BAD = KnownBad("1.0", "all tries are used up", NOW)
H = Happening


def event(what: Happening, **fields: object) -> Event:
    """An event with everything that one of its kind has to say, unless ``fields`` say otherwise."""
    full: dict[str, object] = {"version": "1.1"} if what in (H.FOUND, H.BOOTED, H.ROLL_BACK) else {}
    full |= {"slot": B} if what in (H.BEGIN, H.BOOTED, H.ROLL_BACK) else {}
    full |= {"boot_id": BOOT} if what in (H.ARM, H.BOOTED, H.NOT_TRIED) else {}
    full |= {"progress": Progress(4, 10)} if what is H.PROGRESS else {}
    if what in (H.NOTHING, H.REFUSE, H.FAIL, H.CANCEL, H.WITHDRAW, H.HOLD, H.ROLL_BACK, H.NOT_TRIED):
        full["reason"] = f"because of {what}"
    return Event(what, **{"at": NOW, **full, **fields})  # type: ignore[arg-type]


PATHS: dict[State, tuple[Happening, ...]] = {
    State.IDLE: (),
    State.CHECKING: (H.CHECK,),
    State.AVAILABLE: (H.CHECK, H.FOUND),
    State.DOWNLOADING: (H.CHECK, H.FOUND, H.BEGIN),
    State.VERIFYING: (H.CHECK, H.FOUND, H.BEGIN, H.FETCHED),
    State.INSTALLING: (H.CHECK, H.FOUND, H.BEGIN, H.FETCHED, H.VERIFIED),
    State.ARMED: (H.CHECK, H.FOUND, H.BEGIN, H.FETCHED, H.VERIFIED, H.ARM),
    State.WAITING: (H.CHECK, H.FOUND, H.BEGIN, H.FETCHED, H.VERIFIED, H.ARM, H.HOLD),
    State.REBOOTING: (H.CHECK, H.FOUND, H.BEGIN, H.FETCHED, H.VERIFIED, H.ARM, H.REBOOT),
    State.PROVING: (H.CHECK, H.FOUND, H.BEGIN, H.FETCHED, H.VERIFIED, H.ARM, H.REBOOT, H.BOOTED),
    State.GOOD: (H.CHECK, H.FOUND, H.BEGIN, H.FETCHED, H.VERIFIED, H.ARM, H.REBOOT, H.BOOTED, H.PROVED),
    State.ROLLED_BACK: (H.CHECK, H.FOUND, H.BEGIN, H.FETCHED, H.VERIFIED, H.ARM, H.REBOOT, H.ROLL_BACK),
}
"""How each state is reached from idle."""


def machine_in(state: State, *bad: KnownBad) -> Machine:
    """A machine that came into the state the usual way, with version 1.1 for slot B."""
    machine = Machine(since=NOW, bad=bad)
    for what in PATHS[state]:
        machine = advance(machine, event(what))
    assert machine.state is state
    return machine
