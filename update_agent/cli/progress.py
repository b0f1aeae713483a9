"""Bytes that are worked through: a live bar on a terminal, a line for each quarter in a pipe."""

from __future__ import annotations

import sys
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    Report = Callable[[str, int, int], None]


_SMALL = 1 << 20
"""Bytes of a step of which nobody wants a line: it is over before that is read."""


def progress(*, quiet: bool = False) -> AbstractContextManager[Report]:
    """What is given each step, the bytes of it that are done, and all of them. Without ``rich`` a terminal gets lines, too."""
    if quiet:
        return nullcontext(lambda *_: None)
    if sys.stderr.isatty():
        try:
            from update_agent.cli.bars import bars
        except ImportError:
            return nullcontext(_lines())
        return bars()
    return nullcontext(_lines())


def _lines() -> Report:
    shown: set[tuple[str, int]] = set()

    def report(what: str, done: int, total: int) -> None:
        quarter = done * 4 // total
        if total >= _SMALL and quarter and (what, quarter) not in shown:
            shown.add((what, quarter))
            # Whoever read the progress may have gone: that is no reason to stop.
            with suppress(OSError):
                click.echo(f"{what}: {done * 100 // total} % of {total} bytes", err=True)

    return report
