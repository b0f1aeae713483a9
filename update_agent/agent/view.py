"""What outsiders see of a machine: one value, from which D-Bus, metrics and ``update_engine_client`` take what they show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from update_agent.state.machine import Machine
    from update_agent.state.transitions import State


@dataclass(frozen=True, kw_only=True)
class View:
    """Texts are empty where there is nothing to say.

    ``running`` is the version that runs, ``version`` the one that the state is about. ``size``: bytes of the update, 0 where they
    are not known. ``progress`` is that of the step at hand, 0 to 1; 0 in steps without. ``checked``, ``since``: UTC. ``slot`` is a
    partition UUID, ``bad`` the versions known to be bad, oldest first.
    """

    state: State
    running: str
    version: str
    size: int
    progress: float
    checked: datetime | None
    since: datetime
    reason: str
    slot: str
    bad: tuple[str, ...]


def view_of(machine: Machine, running: str, size: int = 0) -> View:
    """The view of a machine that runs the version ``running``; ``size`` is that of the update, in bytes."""
    progress = machine.progress
    return View(
        state=machine.state,
        running=running,
        version=machine.version or "",
        size=size,
        progress=progress.done / progress.total if progress and progress.total else 0.0,
        checked=machine.checked,
        since=machine.since,
        reason=machine.reason,
        slot=machine.slot or "",
        bad=tuple(bad.version for bad in machine.bad),
    )
