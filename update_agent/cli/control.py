"""``updatectl cancel`` and ``resume``."""

from __future__ import annotations

import click

from bootselect.click_support import say
from update_agent.cli.common import JSON, show_json, tell, world_here
from update_agent.cli.status import fields_of

WAIT = 60.0
"""Seconds that another process has to end by itself."""


@click.command("cancel")
@JSON
def cancel(as_json: bool) -> None:
    """Stop an update that is under way or waits for the reboot; the passive slot is out of use then (0/0/0).

    The version is not taken again by itself: 'updatectl resume' or a newer version goes on. What runs already is left by
    'bootselect rollback'.
    """
    from update_agent.agent.cancelling import cancel as stop

    machine = stop(world_here(), WAIT, tell=tell)
    if as_json:
        show_json(fields_of(machine))
    else:
        say(f"version {machine.version} is cancelled; 'updatectl resume' takes it up again")


@click.command("resume")
@click.argument("version", required=False)
@JSON
def resume(version: str | None, as_json: bool) -> None:
    """Let a version be taken again that was cancelled or rolled back here: VERSION, by default the last one.

    It is installed by the agent at its next check, or by 'updatectl install' now.
    """
    from update_agent.agent.session import session_of
    from update_agent.state.errors import NothingToResumeError

    with session_of(world_here(), tell=tell) as session:
        known = session.machine.bad
        if version is None and not known:
            raise NothingToResumeError
        wanted = version or known[-1].version
        session.forget(wanted)
        machine = session.machine
    if as_json:
        show_json({"resumed": wanted, **fields_of(machine)})
    else:
        say(f"version {wanted} may be installed again")
