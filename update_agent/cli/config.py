"""``updatectl config``: every setting, and where it came from."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootselect.click_support import say
from update_agent.config.agent_toml import SECTIONS
from update_agent.config.files import read_configuration
from update_agent.config.settings import ROWS
from update_agent.config.write_through import write_through

if TYPE_CHECKING:
    from update_agent.config.configuration import Configuration
    from update_agent.config.fragment import Assignment

_DEFAULT = "default"


@click.command("config")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("/"),
    show_default=True,
    help="The system whose files are read.",
)
@click.option(
    "--cloud-config",
    type=click.Path(path_type=Path),
    help="A cloud-config, in place of /etc/coreos/cloud-config.yml.",
)
@click.option(
    "--write-through",
    "through",
    is_flag=True,
    help="Write what the cloud-config says into update.conf, as CoreOS did, and show nothing else.",
)
@click.option("--json", "as_json", is_flag=True, help="For scripts: one JSON object.")
def config(root: Path, cloud_config: Path | None, through: bool, as_json: bool) -> None:
    """Show every setting of the agent, and the file and line that it came from.

    The output is an agent.toml with the same values, without what is secret. With --json times are in seconds, rates in bytes a second.
    """
    if through:
        path, names = write_through(root, cloud_config)
        if as_json:
            click.echo(json.dumps({"file": str(path), "set": names}))
        else:
            say(f"{path}: {', '.join(names)}" if names else f"{path}: there is nothing to be written")
        return
    found = read_configuration(root, os.environ, cloud_config=cloud_config)
    if as_json:
        click.echo(json.dumps({key: _as_json(found, key) for key in ROWS}, indent=2))
        return
    for section in SECTIONS:
        say(f"[{section}]")
        rows = [(_as_toml(found, key), _came_from(found, key)) for key in ROWS if key.startswith(f"{section}.")]
        width = max(len(text) for text, _ in rows)
        for text, origin in rows:
            say(f"{text.ljust(width)}  # {origin}")
        if section != SECTIONS[-1]:
            say("")


def _as_toml(found: Configuration, key: str) -> str:
    shown = found.shown(key)
    name = key.partition(".")[2]
    return f"{name} = {shown if ROWS[key].kind.number else json.dumps(shown, ensure_ascii=False)}"


def _came_from(found: Configuration, key: str) -> str:
    inputs = found.inputs.get(key)
    if inputs is None:
        return _DEFAULT
    *weaker, holds = inputs
    over = f"; over {', '.join(_place(one) for one in reversed(weaker))}" if weaker else ""
    return _place(holds) + over


def _place(assignment: Assignment) -> str:
    name = "" if assignment.name == assignment.key else f" {assignment.name}"
    return f"{assignment.origin}{name}"


def _as_json(found: Configuration, key: str) -> dict[str, Any]:
    inputs = found.inputs.get(key, ())
    value, shown = found.value(key), found.shown(key)
    if isinstance(value, timedelta):
        value = int(value.total_seconds())
    elif isinstance(value, str):
        value = shown
    origins = [
        {"from": one.origin.where, "line": one.origin.line or None, "name": one.name} for one in reversed(inputs)
    ]
    holds = origins[0] if origins else {"from": _DEFAULT, "line": None, "name": None}
    return {"value": value, "shown": shown, **holds, "over": origins[1:]}
