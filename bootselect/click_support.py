"""What the click programs of the project share: errors as one line and an exit code, and lines for a person.

Labels, names of files and messages that quote them come from a disk.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from bootselect.errors import BootselectError, NothingBootableError
from gptlib._text import text_of
from gptlib.errors import GptError
from gptlib.printable import printable, show_everything

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = text_of
"""The type of an argument with a label in it, which is UTF-8 whatever the locale."""


class ErrorGroup(click.Group):
    """A click group that shows the errors of this project without a traceback.

    It exits 1 where something is refused or fails, 3 where nothing is bootable (click itself uses 2). Its name is the program's.
    """

    errors: tuple[type[Exception], ...] = (BootselectError, GptError, OSError)
    """What is an error and not a bug; a program adds its own."""
    encoding: str | None = "utf-8"
    """Of the output: labels are UTF-8 on the disk, whatever the locale. None leaves it as it is."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  (click's own signature)
        """Run the command. What the encoding of the output cannot express is shown as escapes."""
        show_everything(sys.stdout, sys.stderr)
        for stream in (sys.stdout, sys.stderr):
            if self.encoding and isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(encoding=self.encoding)
        try:
            return super().invoke(ctx)
        except self.errors as error:
            first, *others = self.lines_of(error)
            for line in (f"{self.name}: {first}", *others):
                say(line, err=True)
            ctx.exit(3 if isinstance(error, NothingBootableError) else 1)

    def lines_of(self, error: Exception) -> list[str]:
        """An error in words: one line, unless a program has more to quote."""
        return [str(error)]


def say(line: str, *, err: bool = False) -> None:
    """Print one line, escaped as ``gptlib.printable`` does."""
    click.echo(printable(line), err=err)


def warn(line: str) -> None:
    """Print one line on stderr, with the name of the program before it."""
    say(f"{click.get_current_context().find_root().command.name}: {line}", err=True)


def show_what_was_done(show: Callable[[], None]) -> None:
    """Print what a finished change has done. Where that fails, the change is done all the same, and stderr says so."""
    try:
        show()
    except OSError as error:
        if sys.stdout is not None:
            # What could not be written must not be tried again, and fail again, when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # With stderr on the same full disk there is nobody left to tell; the exit code still says that it is done.
        with contextlib.suppress(OSError):
            warn(f"done, but it cannot be shown: {error.strerror}")
