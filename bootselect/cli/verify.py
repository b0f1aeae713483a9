"""``bootselect verify``: what is wrong with the table and the slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bootselect.cli.options import JSON, POLICY, TARGET, TYPE
from bootselect.cli.report import show_findings
from bootselect.slot_disk import SlotDisk
from bootselect.verify import slot_findings
from gptlib.disk import Disk
from gptlib.read.checks import table_findings
from gptlib.read.findings import ERROR

if TYPE_CHECKING:
    from bootselect.policy import Policy
    from gptlib.table.guid import Guid


@click.command("verify")
@TARGET
@TYPE
@POLICY
@JSON
def verify_command(target: str | None, type_guid: Guid, policy: Policy, as_json: bool) -> None:
    """List everything that is wrong with the table and the slots; exits 1 when one finding is an error."""
    found = SlotDisk.find(target, type_guid)
    with Disk.open(found.path) as disk:
        state = disk.read()
    table = state.table
    findings = [*state.findings, *table_findings(table), *slot_findings(table, type_guid, policy)]
    show_findings(found.path, findings, as_json=as_json)
    if any(finding.severity == ERROR for finding in findings):
        raise SystemExit(1)
