"""The command ``bootselect``. A subcommand is imported when it is called: a boot calls some of them, and waits."""

from __future__ import annotations

from importlib import import_module

import click

from bootselect import __version__
from bootselect.click_support import ErrorGroup

_COMMANDS = {
    "arm": "change",
    "health": "health",
    "integrate": "integrate",
    "mark-bad": "change",
    "mark-good": "change",
    "next": "next",
    "prioritize": "change",
    "rollback": "change",
    "simulate": "simulate",
    "status": "status",
    "stop-watchdog": "watchdog",
    "verify": "verify",
}
"""Command -> module of ``bootselect.cli`` with the function NAME_command."""


class _LazyGroup(ErrorGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's own signature)
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"bootselect.cli.{_COMMANDS[cmd_name]}")
        command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command if isinstance(command, click.Command) else None


@click.group("bootselect", cls=_LazyGroup)
@click.version_option(__version__)
def main() -> None:
    """Say which slot of an A/B disk boots, and change it.

    TARGET is a disk, the node of a partition on it, or an image file; without it, the disk that the running system came
    from. Exit codes: 0 done, 1 refused or failed, 2 usage, 3 nothing bootable.
    """
