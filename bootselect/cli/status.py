"""``bootselect status``: the slots in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bootselect.cli.options import JSON, POLICY, TARGET, TYPE
from bootselect.cli.report import show_status
from bootselect.slot_disk import SlotDisk
from bootselect.status import status as status_of
from gptlib.disk import Disk

if TYPE_CHECKING:
    from bootselect.policy import Policy
    from gptlib.table.guid import Guid


@click.command("status")
@TARGET
@TYPE
@POLICY
@JSON
def status_command(target: str | None, type_guid: Guid, policy: Policy, as_json: bool) -> None:
    """Show the slots: which is active, what boots next and why, what was rolled back."""
    found = SlotDisk.find(target, type_guid)
    with Disk.open(found.path) as disk:
        table = disk.table()
    found.slots(table)
    show_status(found, status_of(table, type_guid, policy, found.active), as_json=as_json)
