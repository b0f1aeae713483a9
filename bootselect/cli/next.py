"""``bootselect next``: select a slot."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from bootselect.cli.options import JSON, POLICY, TYPE
from bootselect.click_support import warn
from bootselect.selection import open_for_selection, propose, select
from bootselect.slot_disk import SlotDisk
from gptlib.disk import Disk
from gptlib.linux.lock import DEADLINE

if TYPE_CHECKING:
    from bootselect.policy import Policy
    from gptlib.table.guid import Guid


@click.command("next")
@click.argument("target")
@TYPE
@POLICY
@click.option("--dry-run", is_flag=True, help="Only say what would be chosen.")
@JSON
def next_command(target: str, type_guid: Guid, policy: Policy, dry_run: bool, as_json: bool) -> None:
    """Choose the next slot to boot, account for the try, and print its partition UUID."""
    found = SlotDisk.find(target, type_guid)
    if dry_run:
        with Disk.open(found.path) as disk:
            choice, _, table = propose(found.path, disk.read(), policy, type_guid)
        number, reason, problem = choice.number, choice.reason, ""
        notices: tuple[str, ...] = ()
    else:
        disk, unwritable = open_for_selection(found.path, lock_deadline=DEADLINE)
        with disk:
            selection = select(disk, policy, type_guid, unwritable=unwritable)
        number, table, reason, problem = selection.number, selection.table, selection.reason, selection.problem
        notices = selection.notices
    partition = table.partition(number)
    if problem:
        warn(f"nothing was written: {problem}")
    for notice in notices:
        warn(f"{found.path}: {notice}")
    if as_json:
        attributes = partition.attributes
        answer = {
            "partition": number,
            "label": partition.label,
            "partuuid": partition.unique_guid.text,
            "priority": attributes.priority,
            "tries": attributes.tries,
            "successful": int(attributes.successful),
            "reason": reason,
            "problem": problem,
        }
        click.echo(json.dumps(answer))
    else:
        click.echo(partition.unique_guid.text)
