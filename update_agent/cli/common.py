"""What the commands of ``updatectl`` share: the machine, progress, and answers for scripts."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootselect.click_support import warn
from update_agent.agent.here import here
from update_agent.config.files import read_configuration
from update_agent.errors import UpdateError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import ModuleType

    from update_agent.agent.selector import Selector
    from update_agent.agent.shelf import Shelf
    from update_agent.agent.world import World
    from update_agent.config.settings import Settings


class LibrariesMissingError(UpdateError):
    """A package of Python is not installed that ``doing`` needs. Nothing was done."""

    def __init__(self, doing: str, name: str, extra: str) -> None:
        super().__init__(f"{doing} needs the Python package {name}, which is not here: pip install 'slotboot[{extra}]'")
        self.name = name


def online() -> ModuleType:
    """What needs a repository. Raises LibrariesMissingError."""
    try:
        from update_agent.agent import online as room
    except ImportError as error:
        # In a tiny slot it is this very module that is missing.
        named = isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("update_agent")
        raise LibrariesMissingError(
            "updating from a repository", str(error.name) if named else "tuf", "agent"
        ) from error
    return room


JSON = click.option("--json", "as_json", is_flag=True, help="For scripts: one JSON object.")


def settings_here() -> Settings:
    """Those of this machine. Raises ConfigError."""
    return read_configuration(Path("/"), os.environ).settings


def world_here(settings: Settings | None = None) -> World:
    """This machine. Raises as ``update_agent.agent.here.here``."""
    settings = settings or settings_here()

    def open_shelf() -> AbstractContextManager[Shelf]:
        opened: AbstractContextManager[Shelf] = online().shelf_of(settings, tell)
        return opened

    world = here(settings, open_shelf)
    return replace(world, selector=_selector(settings, world)) if settings.selected else world


def _selector(settings: Settings, world: World) -> Selector | None:
    """The server that selects; None without the libraries that a repository needs, too: nothing is taken from one then."""
    try:
        selector: Selector = online().selector_of(settings, world, tell)
    except LibrariesMissingError:
        return None
    return selector


def show_json(fields: object) -> None:
    """One JSON object on standard output."""
    click.echo(json.dumps(fields, indent=2))


def tell(line: str) -> None:
    """Something that a person may want to know, on standard error."""
    with suppress(OSError):
        warn(line)
