"""``bootselect integrate``: hooks, dracut module and units go into a system and out of it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootselect.cli.options import JSON
from bootselect.click_support import say
from bootselect.integration.install import ChangedError, State, integrate, look, programs_of, remove
from bootselect.integration.places import TOOLS, Programs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootselect.integration.places import Tool


@click.command("integrate")
@click.argument("tools", nargs=-1, type=click.Choice(list(TOOLS)), metavar="[initramfs-tools|dracut|systemd]...")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("/"),
    metavar="DIR",
    help="The system: this one, or one that is being built in a folder.",
)
@click.option("--remove", "take_out", is_flag=True, help="Take them out: what is ours and unchanged.")
@click.option("--list", "only_list", is_flag=True, help="Only say what is where.")
@JSON
def integrate_command(
    tools: tuple[str, ...],
    root: Path,
    take_out: bool,
    only_list: bool,
    as_json: bool,
) -> None:
    """Put the hooks of initramfs-tools, the module of dracut and the units of systemd into their places.

    With another root, its /usr/bin/python3 is the interpreter of the hooks; else it is the one that runs this.
    """
    if take_out and only_list:
        raise click.UsageError("--remove and --list exclude each other")
    if as_json and not only_list:
        raise click.UsageError("--json goes with --list")
    if not tools and not only_list:
        raise click.UsageError(f"name what to integrate with: {', '.join(TOOLS)}")
    chosen = [TOOLS[name] for name in dict.fromkeys(tools or TOOLS)]
    if only_list:
        _list(chosen, root, as_json=as_json)
    elif take_out:
        _remove(chosen, root)
    else:
        _integrate(chosen, root)


def _integrate(tools: Sequence[Tool], root: Path) -> None:
    written = integrate(tools, root, programs_of(root))
    for found in written:
        say(f"{found.path}: {'replaced' if found.state is State.OUTDATED else 'written'}")
    if not written:
        say("everything is in place")
    for tool in tools:
        say(f"{tool.name}: next: {tool.then}")


def _remove(tools: Sequence[Tool], root: Path) -> None:
    removed, left = remove(tools, root, Programs())
    for found in removed:
        say(f"{found.path}: removed")
    for found in left:
        if found.state is State.PACKAGED:
            say(f"{found.path}: left: put there by a package or by hand")
    if not removed and not left:
        say("nothing is there")
    changed = [found.path for found in left if found.state is State.CHANGED]
    if changed:
        raise ChangedError(changed)


def _list(tools: Sequence[Tool], root: Path, *, as_json: bool) -> None:
    programs = programs_of(root)
    rows = [(tool.name, found) for tool in tools for found in look(tool, root, programs)]
    if as_json:
        listed = [{"tool": name, "state": str(found.state), "path": str(found.path)} for name, found in rows]
        click.echo(json.dumps(listed, indent=2))
        return
    columns = [(name, str(found.state), str(found.path)) for name, found in rows]
    widths = [max(len(row[column]) for row in columns) for column in range(2)]
    for name, state, path in columns:
        say(f"{name.ljust(widths[0])}  {state.ljust(widths[1])}  {path}")
