"""Stops what is under way, in this process or another, and lets it be taken up again."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from update_agent.agent.errors import NothingToCancelError, NotNowError
from update_agent.agent.session import session_of
from update_agent.agent.world import CANCEL
from update_agent.slot.disarm import disarm
from update_agent.state.errors import StateBusyError
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from update_agent.agent.session import Listener, Session
    from update_agent.agent.world import World
    from update_agent.state.machine import Machine

_BY_A_PERSON = "cancelled by a person"
_PAUSE = 0.2


def cancel(
    world: World,
    wait: float,
    listeners: Sequence[Listener] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Machine:
    """Stop an update that has not been tried yet; the slot is 0/0/0, and the version is not taken again by itself.

    Another process that installs ends by itself within ``wait`` seconds, or StateBusyError is raised and it will end later. Raises
    NothingToCancelError, and NotNowError for a slot that runs already.
    """
    path, end = world.folder / CANCEL, world.clock.monotonic() + wait
    while True:
        try:
            with session_of(world, listeners, tell) as session:
                return _cancelled(session)
        except StateBusyError:
            if world.clock.monotonic() >= end:
                raise
            # Written each time: whoever begins a session takes what it finds for an old one.
            with suppress(OSError):
                path.touch()
            world.clock.sleep(_PAUSE)


def _cancelled(session: Session) -> Machine:
    machine = session.machine
    if machine.state is State.PROVING:
        raise NotNowError(machine, f"version {machine.version} runs already; 'bootselect rollback' goes back")
    if machine.state in (State.ARMED, State.WAITING):
        disarm(session.world.found, machine.slot or "", session.tell)
    elif machine.state not in (State.AVAILABLE, State.DOWNLOADING, State.VERIFYING):
        if machine.event is Happening.CANCEL:
            return machine
        raise NothingToCancelError(f"no update is under way: the state is {machine.state}")
    session.step(Happening.CANCEL, _BY_A_PERSON)
    return session.machine
