"""The command ``locksmithctl``: the lock of a fleet, as locksmith's own command shows and changes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click

from bootselect.click_support import ErrorGroup, say
from update_agent import __version__
from update_agent.cli.common import JSON
from update_agent.cli.locksmith_flags import Flags, fail, flag, group_of, settings_of_agent, this_machine
from update_agent.cli.locksmith_reboot import reboot, send_need_reboot
from update_agent.cli.locksmith_serve import serve_fleetlock
from update_agent.cli.locksmith_status import fields_of, notes_of
from update_agent.config.errors import ConfigError
from update_agent.errors import UpdateError


class _Group(ErrorGroup):
    errors = (*ErrorGroup.errors, UpdateError)

    def lines_of(self, error: Exception) -> list[str]:
        """A configuration has a line for each of its mistakes."""
        return str(error).split("\n") if isinstance(error, ConfigError) else super().lines_of(error)


@click.group(
    "locksmithctl", cls=_Group, invoke_without_command=True, context_settings={"auto_envvar_prefix": "LOCKSMITHCTL"}
)
@flag("debug", "Print out debug information to stderr.", is_flag=True)
@flag("endpoint", "An endpoint of etcd; repeatable, or separated by commas.", multiple=True)
@flag("etcd-keyfile", "The key of the certificate for etcd.")
@flag("etcd-certfile", "The certificate for etcd.")
@flag("etcd-cafile", "Certificates that etcd is known by.")
@flag("etcd-username", "The user of etcd.")
@flag("etcd-password", "The password of that user.")
@flag("group", "The group of the lock.")
@flag("version", "Print the version and exit.", is_flag=True)
@click.pass_context
def main(context: click.Context, /, debug: bool, version: bool, **flags: Any) -> None:  # noqa: ANN401  (the rest of the options)
    """Manage the cluster wide reboot lock.

    What is not given by an option or a variable LOCKSMITHCTL_ENDPOINT, LOCKSMITHCTL_GROUP, ... is taken from the configuration of
    the update agent ('updatectl config'). Exit codes: 0 done, 1 refused or failed, 2 usage.
    """
    if version:
        say(f"locksmithctl version {__version__}")
        context.exit(0)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        context.exit(0)
    context.obj = Flags(**flags)
    if debug:
        import logging

        logging.basicConfig(level=logging.DEBUG)


@main.command("help")
@click.argument("name", metavar="[COMMAND]", required=False)
@click.pass_context
def help_command(context: click.Context, name: str | None) -> None:
    """Show this help, or that of a command."""
    parent = context.find_root()
    if name is None:
        click.echo(parent.get_help())
        return
    command = main.get_command(parent, name)
    if command is None:
        raise click.UsageError(f"unknown subcommand: {name!r}", parent)
    click.echo(command.get_help(click.Context(command, info_name=name, parent=parent)))


@main.command("status")
@JSON
@click.pass_obj
def status(flags: Flags, as_json: bool) -> None:
    """Show how many machines may reboot at once, and which do.

    Standard error says more: since when and for which version, who waits, and which versions are stopped.
    """
    with group_of(flags, "Error getting value") as group:
        view = group.view()
    if as_json:
        click.echo(json.dumps(fields_of(view, flags.over(settings_of_agent()).lock_group), indent=2))
        return
    say(f"Available: {view.semaphore.available}")
    say(f"Max: {view.semaphore.max}")
    if view.holders:
        say("")
        say("MACHINE ID")
        for one in view.holders:
            say(one.machine)
    for line in notes_of(view, datetime.now(UTC)):
        say(line, err=True)


@main.command("set-max", context_settings={"ignore_unknown_options": True})
@click.argument("number", metavar="NUMBER", nargs=-1)
@click.pass_obj
def set_max(flags: Flags, number: tuple[str, ...]) -> None:
    """Set how many machines may reboot at once, 1 or more.

    Fewer than hold a place now: nobody gets one until enough of them have given theirs back.
    """
    if len(number) != 1:
        fail("New maximum value must be set.")
    try:
        wanted = int(number[0])
    except ValueError:
        fail(f"Invalid maximum value: {number[0]}")
    if wanted < 1:
        fail(f"Invalid maximum value: {number[0]}")
    with group_of(flags, "Error setting value") as group:
        old, new = group.set_max(wanted)
    say(f"Old: {old.max}")
    say(f"New: {new.max}")
    if len(new.holders) > new.max:
        say(f"{len(new.holders)} machines have a place; nobody gets one before fewer than {new.max} have", err=True)


@main.command("lock")
@click.argument("machine", metavar="[MACHINE ID]", required=False)
@click.pass_obj
def lock(flags: Flags, machine: str | None) -> None:
    """Take a place for a machine, by default for this one, before all that wait."""
    wanted = machine or this_machine()
    with group_of(flags, "Error locking") as group:
        group.lock(wanted, datetime.now(UTC))


@main.command("unlock")
@click.argument("machine", metavar="[MACHINE ID]", required=False)
@click.pass_obj
def unlock(flags: Flags, machine: str | None) -> None:
    """Take its place from a machine, by default from this one: for one that will not come back."""
    wanted = machine or this_machine()
    with group_of(flags, "Error unlocking") as group:
        group.unlock(wanted)


@main.command("clear")
@click.argument("version")
@click.pass_obj
def clear(flags: Flags, version: str) -> None:
    """Let machines start on VERSION again, which one has rolled back. That machine gives its place back."""
    with group_of(flags, "Error clearing") as group:
        kept = group.clear(version)
    for machine in kept:
        say(f"machine {machine} has given its place back", err=True)


for command in (reboot, send_need_reboot, serve_fleetlock):
    main.add_command(command)
