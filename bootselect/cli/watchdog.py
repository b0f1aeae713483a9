"""``bootselect stop-watchdog``: for systems that do not feed the watchdog that the selector has armed."""

from __future__ import annotations

import click

from bootselect.click_support import say
from bootselect.watchdog import stop_watchdog


@click.command("stop-watchdog")
def stop_watchdog_command() -> None:
    """Stop the watchdog that the selector has armed. Systems with a watchdog daemon let that take it over instead."""
    say(f"stopped {stop_watchdog() or 'nothing: there is no watchdog'}")
