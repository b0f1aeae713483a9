"""Lines for a person. Labels, names of files and messages that quote them come from a disk."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import click

from gptlib.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable


def say(line: str, *, err: bool = False) -> None:
    """Print one line, escaped as ``gptlib.printable`` does."""
    click.echo(printable(line), err=err)


def show_what_was_done(show: Callable[[], None]) -> None:
    """Print what a finished change has done. Where that fails, the change is done all the same, and stderr says so."""
    try:
        show()
    except OSError as error:
        if sys.stdout is not None:
            # What could not be written must not be tried again, and fail again, when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        program = click.get_current_context().find_root().info_name
        # With stderr on the same full disk there is nobody left to tell; the exit code still says that it is done.
        with contextlib.suppress(OSError):
            say(f"{program}: done, but it cannot be shown: {error.strerror}", err=True)
