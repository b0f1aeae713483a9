"""The command ``integrate`` of our programs: files go into a system and out of it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootselect.click_support import say
from bootselect.integration.install import ChangedError, State, integrate, look, programs_of, remove
from bootselect.integration.places import Programs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bootselect.integration.places import Tool


def integrate_command(tools: Mapping[str, Tool], text: str) -> click.Command:
    """A command that puts the files of these tools into their places; ``text`` is its help."""

    @click.command("integrate", help=text)
    @click.argument("names", nargs=-1, type=click.Choice(list(tools)), metavar=f"[{'|'.join(tools)}]...")
    @click.option(
        "--root",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=Path("/"),
        metavar="DIR",
        help="The system: this one, or one that is being built in a folder.",
    )
    @click.option("--remove", "take_out", is_flag=True, help="Take them out: what is ours and unchanged.")
    @click.option("--list", "only_list", is_flag=True, help="Only say what is where.")
    @click.option("--json", "as_json", is_flag=True, help="For scripts: one JSON object.")
    def command(names: tuple[str, ...], root: Path, take_out: bool, only_list: bool, as_json: bool) -> None:
        if take_out and only_list:
            raise click.UsageError("--remove and --list exclude each other")
        if as_json and not only_list:
            raise click.UsageError("--json goes with --list")
        if not names and not only_list:
            raise click.UsageError(f"name what to integrate with: {', '.join(tools)}")
        chosen = [tools[name] for name in dict.fromkeys(names or tools)]
        if only_list:
            _list(chosen, root, as_json=as_json)
        elif take_out:
            _remove(chosen, root)
        else:
            _integrate(chosen, root)

    return command


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
