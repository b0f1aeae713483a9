"""Turns errors into one line on stderr and an exit code: 1 refused or failed, 3 nothing bootable (click itself uses 2)."""

from __future__ import annotations

from typing import Any

import click

from bootselect.cli.text import printable
from bootselect.errors import BootselectError, NothingBootableError
from gptlib.errors import GptError


class ErrorGroup(click.Group):
    """A click group that shows the errors of this project without a traceback."""

    errors: tuple[type[Exception], ...] = (BootselectError, GptError, OSError)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  (click's own signature)
        """Run the command; exits 1 or 3 with one line on stderr when it is refused or fails."""
        try:
            return super().invoke(ctx)
        except NothingBootableError as error:
            self._fail(ctx, error, 3)
        except self.errors as error:
            self._fail(ctx, error, 1)

    def _fail(self, ctx: click.Context, error: Exception, code: int) -> None:
        click.echo(printable(f"{ctx.info_name}: {error}"), err=True)
        ctx.exit(code)
