"""A version that waits for its reboot, and may not be begun any more, makes room for a newer one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.agent.checking import find
from update_agent.agent.choice import Nothing, Wish
from update_agent.agent.version import compare
from update_agent.slot.disarm import disarm
from update_agent.state.transitions import Happening

if TYPE_CHECKING:
    from update_agent.agent.session import Session


def make_room(session: Session, reason: str) -> bool:
    """Take the armed slot out of use (0/0/0), where there is a newer release for this machine; whether there is one.

    ``reason`` says why its version is not begun. It is not remembered as bad. Raises what ``find`` raises, with nothing
    changed, and StateWriteError, with the slot out of use, which the next start notices.
    """
    machine, world = session.machine, session.world
    with world.open_shelf() as shelf:
        found = find(session, shelf, Wish())
    if isinstance(found, Nothing) or compare(found.version, machine.version or "") <= 0:
        return False
    disarm(world.found, machine.slot or "", session.tell)
    session.step(Happening.WITHDRAW, f"version {found.version} is taken in its place: {reason}")
    return True
