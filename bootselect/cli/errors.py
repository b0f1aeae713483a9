"""Turns errors into one line on stderr and an exit code: 1 refused or failed, 3 nothing bootable (click itself uses 2)."""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from bootselect.cli.lines import one_line
from bootselect.errors import BootselectError, NothingBootableError
from gptlib.errors import GptError


class ErrorGroup(click.Group):
    """A click group that shows the errors of this project without a traceback."""

    errors: tuple[type[Exception], ...] = (BootselectError, GptError, OSError)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  (click's own signature)
        """Run the command; exits 1 or 3 with one line on stderr when it is refused or fails."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # A label can hold half a surrogate pair, and a terminal may not know the letters of another.
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except NothingBootableError as error:
            self._fail(ctx, error, 3)
        except self.errors as error:
            self._fail(ctx, error, 1)

    def _fail(self, ctx: click.Context, error: Exception, code: int) -> None:
        click.echo(f"{ctx.info_name}: {one_line(str(error))}", err=True)
        ctx.exit(code)
