"""``bootselect status`` and ``bootselect verify``: they only read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bootselect.cli.options import JSON, POLICY, TARGET, TYPE
from bootselect.cli.show import show_findings, show_status
from bootselect.cli.target import SlotDisk
from bootselect.status import status as status_of
from bootselect.verify import slot_findings
from gptlib.disk import Disk
from gptlib.read.checks import table_findings
from gptlib.read.findings import ERROR

if TYPE_CHECKING:
    from gptlib.table.guid import Guid


@click.command("status")
@TARGET
@TYPE
@POLICY
@JSON
def status_command(target: str | None, type_guid: Guid, policy: str, as_json: bool) -> None:
    """Show the slots: which is active, what boots next and why, what was rolled back."""
    found = SlotDisk.find(target, type_guid)
    with Disk.open(found.path) as disk:
        table = disk.table()
    found.slots(table)
    show_status(found, status_of(table, type_guid, policy, found.active), as_json=as_json)


@click.command("verify")
@TARGET
@TYPE
@POLICY
@JSON
def verify_command(target: str | None, type_guid: Guid, policy: str, as_json: bool) -> None:
    """List everything that is wrong with the table and the slots; exits 1 when one finding is an error."""
    found = SlotDisk.find(target, type_guid)
    with Disk.open(found.path) as disk:
        state = disk.read()
    table = state.table
    findings = [*state.findings, *table_findings(table), *slot_findings(table, type_guid, policy)]
    show_findings(found.path, findings, as_json=as_json)
    if any(finding.severity == ERROR for finding in findings):
        raise SystemExit(1)
