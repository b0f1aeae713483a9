"""What the commands of ``updatectl publish`` take, and how they are called."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootselect.click_support import ErrorGroup
from update_agent.cli.common import LibrariesMissingError
from update_agent.errors import UpdateError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from update_agent.publish.plan import Plan
    from update_agent.publish.publisher import Publisher

PASSPHRASE = "SLOTBOOT_PASSPHRASE"  # noqa: S105  (the name of a variable)
_WAVE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)=(\d{1,3})%?", re.ASCII)
_ROLE = re.compile(r"(root|targets|snapshot|timestamp)=(\d{1,3})/(\d{1,3})/(\d{1,5})", re.ASCII)


class PassphraseError(UpdateError):
    """A passphrase cannot be read."""


class VerbGroup(ErrorGroup):
    """``updatectl publish REPOSITORY --check`` is ``updatectl publish check REPOSITORY``. Errors go up to ``updatectl``."""

    errors = ()

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put a command that is written as an option where commands are."""
        options = args[: args.index("--")] if "--" in args else args
        if not args or args[0] not in self.commands:
            for place, word in enumerate(options):
                if word.startswith("--") and word[2:] in self.commands:
                    args = [word[2:], *args[:place], *args[place + 1 :]]
                    break
        return super().parse_args(ctx, args)


def wave(text: str) -> dict[str, object]:
    """A wave as metadata have it, of DATE=PERCENT. Raises click.BadParameter."""
    found = _WAVE.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text!r}: expected a date in UTC and a percentage, such as 2026-12-01T00:00:00Z=10")
    return {"from": found[1], "percent": int(found[2])}


def role(text: str) -> tuple[str, int, int, int]:
    """The name of a role, its keys, how many of them sign, and days, of ROLE=KEYS/THRESHOLD/DAYS. Raises click.BadParameter."""
    found = _ROLE.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text!r}: expected a role, its keys, how many sign, and days, such as root=3/2/730")
    return found[1], int(found[2]), int(found[3]), int(found[4])


FOLDER = click.Path(path_type=Path)
repository = click.argument("repository", type=FOLDER)
as_json = click.option("--json", "as_json", is_flag=True, help="For scripts: one JSON object.")
waves = click.option(
    "--wave",
    "waves",
    type=wave,
    multiple=True,
    metavar="DATE=PERCENT",
    help="From this date (UTC) on, so many percent of the machines; may be given several times. Without: all, at once.",
)
name = click.option("--name", help="What the releases are of, where the repository has more than one name.")


def keys(*, required: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options with which keys are given."""

    def both(command: Callable[..., None]) -> Callable[..., None]:
        command = click.option(
            "--passphrase-file",
            "passphrase_files",
            type=FOLDER,
            multiple=True,
            help=f"The first line opens keys that have a passphrase; also {PASSPHRASE} of the environment.",
        )(command)
        return click.option(
            "--keys",
            type=FOLDER,
            multiple=True,
            required=required,
            help="A folder with keys; may be given several times. New keys go into the first one.",
        )(command)

    return both


def publishing() -> ModuleType:
    """The room that publishes. Raises LibrariesMissingError."""
    try:
        from update_agent.publish import api
    except ModuleNotFoundError as error:
        raise LibrariesMissingError("publishing", str(error.name), "publish") from error
    return api


def open_publisher(folder: Path, keys: tuple[Path, ...], passphrase_files: tuple[Path, ...] = ()) -> Publisher:
    """The repository in a folder. Raises LibrariesMissingError, PassphraseError."""
    publisher: Publisher = publishing().Publisher(folder, keys, passphrases=_passphrases(passphrase_files))
    return publisher


def plan_of(roles: tuple[tuple[str, int, int, int], ...]) -> Plan:
    """A plan in which these roles are as they were given. Raises click.BadParameter."""
    api = publishing()
    try:
        plan: Plan = replace(api.Plan(), **{role: api.Role(*numbers) for role, *numbers in roles})
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--role") from error
    return plan


def _passphrases(files: tuple[Path, ...]) -> list[bytes]:
    found = []
    for path in files:
        try:
            with path.open("rb") as file:
                found.append(file.readline(4096).rstrip(b"\r\n"))
        except OSError as error:
            raise PassphraseError(f"{path}: {error.strerror}") from error
        if not found[-1]:
            raise PassphraseError(f"{path}: its first line is empty; expected a passphrase")
    told = os.environ.get(PASSPHRASE)
    return [*found, os.fsencode(told)] if told else found
