"""What a strategy makes of the settings and of what the machine shows: reboot now, hold, or take a lock first.

``best-effort`` means a lock where there is anything to lock with: an endpoint that is configured, or a local unit of etcd in any
state but inactive. A unit that is not ready means wait. It never means a free reboot because etcd was away for a moment.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from update_agent.config.settings import Settings

UNITS = ("etcd.service", "etcd-member.service", "etcd2.service")
"""Units that run a member of etcd: that of Debian and others, those of Flatcar and CoreOS."""
ETCD, FLEET_LOCK = "etcd-lock", "fleet-lock"
"""Kinds of locks."""
WAITING_EVERY = 60.0
"""Seconds between two looks at what the reboot waits for."""
_INACTIVE, _READY = "inactive", ("active", "reloading")
_SYSTEMD = Path("/run/systemd/system")
_DEADLINE = 20.0


@dataclass(frozen=True)
class Hold:
    """The reboot has to wait, for what ``reason`` says; it is worth looking again in so many seconds.

    ``give_back``: nobody may wait for this machine meanwhile, so that it keeps no place. ``stopped``: the version is not to be begun.
    """

    reason: str
    seconds: float = WAITING_EVERY
    give_back: bool = False
    stopped: bool = False


@dataclass(frozen=True)
class Now:
    """Nobody has to be asked."""


@dataclass(frozen=True)
class Locked:
    """A place in a lock of this kind has to be had first."""

    kind: str


@dataclass(frozen=True)
class Unit:
    """The state of a unit, in systemd's words."""

    name: str
    active: str


def decide(settings: Settings, units: Callable[[], Sequence[Unit] | None]) -> Now | Hold | Locked:
    """What the strategy says. ``units`` are those of etcd that are there; None where that could not be found out."""
    strategy = settings.reboot_strategy
    if strategy == "off":
        return Hold("reboot.strategy is off: the machine is rebooted by somebody else", give_back=True)
    if strategy in (ETCD, FLEET_LOCK):
        return Locked(strategy)
    if strategy == "reboot":
        return Now()
    if settings.lock_endpoint:
        return Locked(ETCD)
    found = units()
    if found is None:
        return Hold("reboot.strategy is best-effort, and systemd does not say whether this machine has an etcd")
    if any(unit.active in _READY for unit in found):
        return Locked(ETCD)
    waiting = next((unit for unit in found if unit.active != _INACTIVE), None)
    if waiting is not None:
        return Hold(f"reboot.strategy is best-effort, and {waiting.name} is {waiting.active}: its lock cannot be asked")
    return Now()


def etcd_units(folder: Path = _SYSTEMD) -> tuple[Unit, ...] | None:
    """Those of ``UNITS``, as systemd has them; none where systemd does not run, None where it does not answer."""
    if not folder.is_dir():
        return ()
    argv = ["systemctl", "show", "--property=Id,ActiveState", *UNITS]
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_DEADLINE)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = parse_units(done.stdout)
    return None if done.returncode or len(found) != len(UNITS) else found


def parse_units(text: str) -> tuple[Unit, ...]:
    """What ``systemctl show`` prints: ``Name=value`` on a line, an empty line between two units."""
    units = []
    for block in text.split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if fields.get("Id") and fields.get("ActiveState"):
            units.append(Unit(fields["Id"], fields["ActiveState"]))
    return tuple(units)
