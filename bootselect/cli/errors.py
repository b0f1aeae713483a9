"""Turns errors into one line on stderr and an exit code: 1 refused or failed, 3 nothing bootable (click itself uses 2)."""

from __future__ import annotations

import io
import sys
from typing import Any

import click

from bootselect.cli.terminal import say
from bootselect.errors import BootselectError, NothingBootableError
from gptlib.errors import GptError
from gptlib.printable import show_everything


class ErrorGroup(click.Group):
    """A click group that shows the errors of this project without a traceback."""

    errors: tuple[type[Exception], ...] = (BootselectError, GptError, OSError)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  (click's own signature)
        """Run the command; exits 1 or 3 with one line on stderr when it is refused or fails.

        Labels are UTF-8 on the disk and in the output, whatever the locale; bytes of paths that are not are shown as escapes.
        """
        show_everything(sys.stdout, sys.stderr)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(encoding="utf-8")
        try:
            return super().invoke(ctx)
        except NothingBootableError as error:
            self._fail(ctx, error, 3)
        except self.errors as error:
            self._fail(ctx, error, 1)

    def _fail(self, ctx: click.Context, error: Exception, code: int) -> None:
        say(f"{ctx.info_name}: {error}", err=True)
        ctx.exit(code)
