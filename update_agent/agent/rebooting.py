"""When the machine may reboot into a version that is installed."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from update_agent.agent.errors import RebootError
from update_agent.reboot.strategy import Hold, Locked, decide, etcd_units
from update_agent.reboot.window import window_of
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from update_agent.agent.session import Session
    from update_agent.config.settings import Settings

_SYSTEMD = Path("/run/systemd/system")


@dataclass(frozen=True)
class Reboots:
    """Who decides. ``ask``: what the reboot has to wait for, None for nothing. ``given_up``: the reboot could not be asked for.

    ``tend`` is called in each tick once the verdict on a version is noted, and pays what is owed to others; what is owed still.
    ``stopped``: whether the fleet does not start on a version, as far as is known.
    """

    ask: Callable[[Session], Hold | None]
    given_up: Callable[[Session, str], None] = lambda _session, _reason: None
    tend: Callable[[Session], Hold | None] = lambda _: None
    stopped: Callable[[Session, str], bool] = lambda _session, _version: False


def permission(settings: Settings) -> Hold | None:
    """What a reboot that a person asks for has to wait for, None for nothing. A lock is only taken by the agent."""
    decision = decide(settings, etcd_units)
    if isinstance(decision, Hold):
        return decision
    if isinstance(decision, Locked):
        return Hold(
            f"reboot.strategy is {settings.reboot_strategy}: the agent reboots as soon as it has a place in the lock"
        )
    window, now = window_of(settings), datetime.now(UTC)
    if window is not None and not window.is_open(now):
        opening = window.next_opening(now).astimezone(window.zone)
        return Hold(f"the next window for reboots opens {opening:%a %Y-%m-%d %H:%M %Z}")
    return None


PLAIN = Reboots(lambda session: permission(session.world.settings))
"""Without a lock, and without all that is done around a reboot."""


def go_on(session: Session, reboots: Reboots = PLAIN) -> Hold | None:
    """Reboot a machine with an armed slot, or note what it waits for. Raises RebootError, with the state waiting."""
    if session.state not in (State.ARMED, State.WAITING):
        return None
    hold = reboots.ask(session)
    if hold is not None:
        if (session.state, session.machine.reason) != (State.WAITING, hold.reason):
            session.step(Happening.HOLD, hold.reason)
        return hold
    session.step(Happening.REBOOT)
    try:
        session.world.reboot()
    except RebootError as error:
        session.step(Happening.HOLD, str(error))
        reboots.given_up(session, str(error))
        raise
    return None


def reboot(*, inhibitors: bool = False) -> None:
    """Ask the init system to reboot. Raises RebootError. ``inhibitors``: it asks them; the agent has done so before."""
    argv = ["systemctl", "reboot", *([] if inhibitors else ["-i"])] if _SYSTEMD.is_dir() else ["reboot"]
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RebootError(argv[0], str(error)) from error
    if done.returncode:
        raise RebootError(argv[0], done.stderr.strip() or f"exit code {done.returncode}")
