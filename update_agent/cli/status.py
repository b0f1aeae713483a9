"""``updatectl status`` and ``history``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootselect.click_support import say
from update_agent.cli.common import JSON, settings_here, show_json
from update_agent.state.facts import version_of
from update_agent.state.history import History
from update_agent.state.store import Store
from update_agent.state.transitions import MEANINGS

if TYPE_CHECKING:
    from update_agent.state.machine import Machine


@click.command("status")
@JSON
def status(as_json: bool) -> None:
    """Show where the update of this machine stands: what runs, what comes next, and why."""
    settings = settings_here()
    loaded = Store(settings.state_folder).load_or_start_over(datetime.now(UTC))
    machine, running = loaded.machine, version_of(Path("/"))
    if as_json:
        show_json(
            {"running": running, "group": settings.group, **fields_of(machine), "problem": loaded.problem or None}
        )
        return
    for name, text in _lines(machine, running, settings.group):
        say(f"{name and name + ':':<12} {text}")
    if loaded.problem:
        say(f"{'problem:':<12} {loaded.problem}")


def fields_of(machine: Machine) -> dict[str, object]:
    """The machine, for scripts. Times are of RFC 3339, in UTC."""
    progress = machine.progress
    return {
        "state": machine.state.value,
        "version": machine.version,
        "reason": machine.reason or None,
        "since": machine.since.isoformat(),
        "checked": None if machine.checked is None else machine.checked.isoformat(),
        "progress": None if progress is None else {"done": progress.done, "total": progress.total},
        "slot": machine.slot,
        "not-taken-again": [
            {"version": bad.version, "reason": bad.reason, "at": bad.at.isoformat()} for bad in machine.bad
        ],
    }


def _lines(machine: Machine, running: str, group: str) -> list[tuple[str, str]]:
    about = f" (version {machine.version})" if machine.version else ""
    lines = [
        ("running", running),
        ("group", group),
        ("state", f"{machine.state}{about}, since {_when(machine.since)}"),
        ("", MEANINGS[machine.state]),
    ]
    if machine.reason:
        lines.append(("reason", machine.reason))
    if machine.progress is not None:
        done, total = machine.progress.done, machine.progress.total
        lines.append(("progress", f"{done * 100 // max(total, 1)} % of {total} bytes"))
    lines.append(("checked", "never" if machine.checked is None else _when(machine.checked)))
    return [*lines, *(("not again", f"{bad.version}, since {_when(bad.at)}: {bad.reason}") for bad in machine.bad)]


@click.command("history")
@JSON
def history(as_json: bool) -> None:
    """Show what happened to the updates of this machine, oldest first."""
    settings = settings_here()
    read = History(settings.state_folder, settings.history_size).read()
    if as_json:
        records = [
            {"at": one.at.isoformat(), "what": one.what, "version": one.version, "reason": one.reason or None}
            for one in read.records
        ]
        show_json({"records": records, "damaged-lines": read.damaged})
        return
    for one in read.records:
        reason = f"  {one.reason}" if one.reason else ""
        say(f"{_when(one.at)}  {one.what:<12} {one.version}{reason}")
    if read.damaged:
        say(f"{read.damaged} lines could not be read and were passed over", err=True)


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
