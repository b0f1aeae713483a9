"""One tick: what the machine does next about updates, and when it looks again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.agent.checking import check, find_again
from update_agent.agent.choice import Nothing
from update_agent.agent.installing import install_release
from update_agent.agent.rebooting import go_on
from update_agent.agent.settling import settle
from update_agent.agent.standing_down import stand_by, stand_down
from update_agent.state.transitions import State

if TYPE_CHECKING:
    from update_agent.agent.rebooting import Reboots
    from update_agent.agent.session import Session
    from update_agent.agent.steps import Ears

PROVING_EVERY = 10.0
"""Seconds between two looks at whether the running slot is proved."""
WAITING_EVERY = 60.0
"""Seconds at most between two looks at whether the machine may reboot."""


def tick(
    session: Session,
    reboots: Reboots,
    *,
    due: bool,
    ears: Ears | None = None,
) -> float | None:
    """Do what can be done now; ``due``: it is time to ask the repository. Seconds until the next tick, None for the next check.

    Raises what the parts raise; the state says why, and the next tick goes on from there.
    """
    settle(session)
    owed = reboots.tend(session)
    world = session.world
    if session.state is State.PROVING:
        return PROVING_EVERY
    if session.state is State.DOWNLOADING:
        with world.open_shelf() as shelf:
            install_release(session, shelf, find_again(session, shelf), ears)
    elif due and session.state in (State.IDLE, State.AVAILABLE) and world.settings.enabled:
        stand_by(session, reboots)
        with world.open_shelf() as shelf:
            found = check(session, shelf)
            if not isinstance(found, Nothing):
                install_release(session, shelf, found, ears)
    hold = go_on(session, reboots) or owed
    if hold is not None and hold.stopped:
        stand_down(session, hold.reason)
    if hold is not None:
        return min(hold.seconds, WAITING_EVERY)
    return WAITING_EVERY if session.state in (State.ARMED, State.WAITING, State.REBOOTING) else None
