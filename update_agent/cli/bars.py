"""A live bar for each step, on a terminal: bytes, rate, and the time that is left."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from update_agent.cli.progress import Report

_COLUMNS = (
    TextColumn("{task.description}", markup=False),
    BarColumn(),
    DownloadColumn(binary_units=True),
    TransferSpeedColumn(),
    TimeRemainingColumn(),
)


@contextmanager
def bars() -> Iterator[Report]:
    """What is given each step, the bytes of it that are done, and all of them."""
    with Progress(*_COLUMNS, console=Console(stderr=True, highlight=False, markup=False)) as shown:
        steps: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in steps:
                steps[what] = shown.add_task(what, total=total)
            shown.update(steps[what], completed=done)

        yield report
