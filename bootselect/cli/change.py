"""The verbs that change a slot: ``arm``, ``mark-good``, ``mark-bad``, ``prioritize``, ``rollback``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bootselect import verbs
from bootselect.cli.options import SLOT, TARGET, TYPE
from bootselect.cli.report import show_change
from bootselect.click_support import show_what_was_done, warn
from bootselect.slot_disk import SlotDisk

if TYPE_CHECKING:
    from collections.abc import Callable

    from gptlib.table.guid import Guid
    from gptlib.table.table import Table


@click.command("arm")
@TARGET
@SLOT
@TYPE
@click.option("--tries", type=click.IntRange(1, 15), default=verbs.DEFAULT_TRIES, show_default=True, help="Attempts.")
def arm_command(target: str | None, slot: str | None, type_guid: Guid, tries: int) -> None:
    """Make the passive slot the next to be tried."""
    _change(
        target, type_guid, lambda found, table: verbs.arm(table, type_guid, found.named_or_passive(table, slot), tries)
    )


@click.command("mark-good")
@TARGET
@SLOT
@TYPE
def mark_good_command(target: str | None, slot: str | None, type_guid: Guid) -> None:
    """The active slot has proved itself: tries=0 successful=1. No priority is touched."""
    _change(target, type_guid, lambda found, table: verbs.mark_good(table, found.named_or_active(table, slot)))


@click.command("mark-bad")
@TARGET
@SLOT
@TYPE
def mark_bad_command(target: str | None, slot: str | None, type_guid: Guid) -> None:
    """A slot is not to be booted any more: tries=0 successful=0. No priority is touched."""
    _change(target, type_guid, lambda found, table: verbs.mark_bad(table, found.named_or_active(table, slot)))


@click.command("prioritize")
@TARGET
@SLOT
@TYPE
def prioritize_command(target: str | None, slot: str | None, type_guid: Guid) -> None:
    """Give a slot the highest priority; the others keep their order. A slot that cannot boot is passed over all the same."""
    _change(
        target, type_guid, lambda found, table: verbs.prioritize(table, type_guid, found.named_or_active(table, slot))
    )


@click.command("rollback")
@TARGET
@SLOT
@TYPE
def rollback_command(target: str | None, slot: str | None, type_guid: Guid) -> None:
    """Make the slot before the active one boot next. Refused when no other slot is known to boot."""
    _change(
        target, type_guid, lambda found, table: verbs.rollback(table, type_guid, found.named_or_active(table, slot))
    )


def _change(target: str | None, type_guid: Guid, decide: Callable[[SlotDisk, Table], Table]) -> None:
    found = SlotDisk.find(target, type_guid)
    old, new = found.change(lambda table: decide(found, table), warn)
    show_what_was_done(lambda: show_change(found, old, new))
