"""``updatectl check``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bootselect.click_support import say
from update_agent.agent.session import session_of
from update_agent.cli.common import JSON, online, show_json, tell, world_here

if TYPE_CHECKING:
    from update_agent.agent.choice import Nothing
    from update_agent.repository.release import Release


@click.command("check")
@JSON
def check_command(as_json: bool) -> None:
    """Look for an update, and say which one there is, or why there is none for this machine.

    Nothing is installed. Exit code 0 in both cases.
    """
    room, world = online(), world_here()
    with session_of(world, tell=tell) as session, world.open_shelf() as shelf:
        found: Release | Nothing = room.check(session, shelf)
    fields = _fields(found)
    if as_json:
        show_json(fields)
    elif fields["available"] is None:
        say(f"nothing to install: {fields['reason']}")
    else:
        say(
            f"{found.version} is available: {_mib(fields['size'])}, {_mib(fields['compressed'])} to fetch, less by a difference"
        )


def _fields(found: Release | Nothing) -> dict[str, Any]:
    """Told apart by what they have: their modules need libraries that may not be here."""
    reason = getattr(found, "reason", None)
    if reason is not None:
        return {"available": None, "reason": reason, "about": found.version}
    sizes = {name: getattr(found, name) for name in ("size", "compressed")}
    deltas = [delta.from_version for delta in getattr(found, "deltas", ())]
    return {"available": found.version, **sizes, "differences-from": deltas}


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
