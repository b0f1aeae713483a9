"""What becomes of a version that somebody wants: waits for the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from update_agent.agent.conducting import ON_ITS_WAY, asked_by_a_person
from update_agent.agent.errors import NotProvedError
from update_agent.agent.rebooting import go_on
from update_agent.agent.session import session_of
from update_agent.agent.settling import settle
from update_agent.state.errors import StateBusyError
from update_agent.state.store import Store
from update_agent.state.transitions import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from update_agent.agent.session import Session
    from update_agent.agent.world import World
    from update_agent.slot.install import Installed
    from update_agent.state.machine import Machine

PAUSE = 2.0
"""Seconds between two looks."""


class Outcome(Enum):
    """What came of a wish."""

    INSTALLED = "installed"
    """Just now."""
    ON_ITS_WAY = "on its way"
    """It was installed earlier, and waits for its boot or its proof."""
    RUNS = "runs"
    """It is what runs."""
    NOTHING = "nothing"
    """There is nothing to install."""


@dataclass(frozen=True)
class Wanted:
    """``reason`` says more of an outcome but INSTALLED; ``version`` is what it is about, None where there is none."""

    outcome: Outcome
    version: str | None
    reason: str = ""
    installed: Installed | None = None


def reboot_into(session: Session, tell: Callable[[str], None]) -> str:
    """Reboot where that is allowed; else what it waits for. Raises RebootError and PromiseError."""
    go_on(session, asked_by_a_person(tell))
    return session.machine.reason if session.state is State.WAITING else ""


def wait_for(world: World, version: str, tell: Callable[[str], None]) -> None:
    """Return when the version runs and is proved. Raises NotProvedError when it will not."""
    told = ""
    while True:
        machine = _looked_at(world, tell)
        facts = world.facts()
        running = facts.slots[facts.running]
        if facts.versions.get(facts.running) == version and running.successful:
            return
        bad = machine.known_bad(version)
        if bad is not None:
            raise NotProvedError(version, bad.reason)
        if machine.state not in ON_ITS_WAY:
            raise NotProvedError(version, machine.reason or f"the state is {machine.state}")
        if machine.state is State.WAITING and machine.reason != told:
            told = machine.reason
            tell(f"version {version} waits: {told}")
        world.clock.sleep(PAUSE)


def _looked_at(world: World, tell: Callable[[str], None]) -> Machine:
    """The machine, caught up with what happened, by whoever may."""
    try:
        with session_of(world, tell=tell) as session:
            settle(session)
            return session.machine
    except StateBusyError:
        return Store(world.folder).load(world.clock.now())
