"""Installs a version that somebody wants from the repository, where that is still to be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.agent.checking import check
from update_agent.agent.choice import Nothing
from update_agent.agent.conducting import ON_ITS_WAY
from update_agent.agent.errors import NothingToTakeError
from update_agent.agent.installing import install_release
from update_agent.agent.settling import settle
from update_agent.agent.wanting import Outcome, Wanted

if TYPE_CHECKING:
    from update_agent.agent.choice import Wish
    from update_agent.agent.session import Session
    from update_agent.agent.steps import Ears


def obtain(session: Session, wish: Wish, ears: Ears | None = None) -> Wanted:
    """Install what is wished for. One that was installed already, and waits for its boot or its proof, is not installed again.

    Raises NothingToTakeError for a version that was named, or was rolled back or cancelled here, and what checking and installing raise.
    """
    settle(session)
    machine = session.machine
    if machine.state in ON_ITS_WAY and wish.version in (None, machine.version):
        return Wanted(Outcome.ON_ITS_WAY, machine.version, f"version {machine.version} is {machine.state}")
    with session.world.open_shelf() as shelf:
        found = check(session, shelf, wish)
        if isinstance(found, Nothing):
            bad = found.version is not None and session.machine.known_bad(found.version) is not None
            if not found.runs and (bad or wish.version is not None):
                raise NothingToTakeError(found.reason)
            return Wanted(Outcome.RUNS if found.runs else Outcome.NOTHING, found.version, found.reason)
        return Wanted(Outcome.INSTALLED, found.version, installed=install_release(session, shelf, found, ears))
