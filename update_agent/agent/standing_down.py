"""A version that another machine rolled back is taken out of use where it is armed, until the fleet may go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.reboot.stops import is_stop
from update_agent.slot.disarm import disarm
from update_agent.state.transitions import Happening

if TYPE_CHECKING:
    from update_agent.agent.rebooting import Reboots
    from update_agent.agent.session import Session


def stand_down(session: Session, reason: str) -> None:
    """Take the armed slot out of use (0/0/0), so that no reboot for another reason, such as a power cut, tries its version.

    It is not taken again while it is stopped; a newer one is. Raises what ``disarm`` raises, with nothing changed, and
    StateWriteError, with the slot out of use, which the next start notices.
    """
    disarm(session.world.found, session.machine.slot or "", session.tell)
    session.step(Happening.CANCEL, reason)


def stand_by(session: Session, reboots: Reboots) -> None:
    """Let versions be taken again that are stopped no more. Raises StateWriteError."""
    for bad in session.machine.bad:
        if is_stop(bad.version, bad.reason) and not reboots.stopped(session, bad.version):
            session.forget(bad.version)
            session.tell(f"version {bad.version} is stopped no more, and may be taken")
