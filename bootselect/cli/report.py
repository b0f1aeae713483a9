"""Slots, findings and changes as they are printed: for people, and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from bootselect.click_support import say
from gptlib.printable import printable
from gptlib.table.attributes import short_form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bootselect.slot_disk import SlotDisk
    from bootselect.status import Status
    from gptlib.read.findings import Finding
    from gptlib.table.table import Table

_HEADINGS = ("", "PART", "LABEL", "P/T/S", "STATE", "")


def show_status(found: SlotDisk, status: Status, *, as_json: bool) -> None:
    """The slots as a table, or as one JSON object."""
    if as_json:
        slots = [slot._asdict() for slot in status.slots]
        following = {"label": status.next_label, "reason": status.next_reason}
        click.echo(
            json.dumps({"disk": found.path, "active": found.active, "next": following, "slots": slots}, indent=2)
        )
        return
    rows = [_HEADINGS] + [
        (
            ("*" if slot.active else " ") + (">" if slot.next else " "),
            str(slot.number),
            printable(slot.label),
            short_form(slot.priority, slot.tries, slot.successful),
            slot.state,
            slot.explanation,
        )
        for slot in status.slots
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    say("")
    if status.next_label:
        say(f"* active   > next: {status.next_label}, {status.next_reason}")
    else:
        say("* active   nothing is bootable")


def show_findings(path: str, findings: Sequence[Finding], *, as_json: bool) -> None:
    """One line for each finding, or a JSON list of them."""
    if as_json:
        click.echo(json.dumps({"disk": path, "findings": [finding._asdict() for finding in findings]}, indent=2))
        return
    for finding in findings:
        say(str(finding))
    if not findings:
        say(f"{path}: nothing is wrong")


def show_change(found: SlotDisk, old: Table, new: Table) -> None:
    """One line for each slot that changed; says so when none did."""
    changed = False
    for slot in found.slots(new):
        before, after = old.partition(slot.number), new.partition(slot.number)
        if before.attributes != after.attributes:
            changed = True
            say(f"{found.path}: {after.label} (partition {slot.number}): {before.attributes} -> {after.attributes}")
    if not changed:
        say(f"{found.path}: nothing to change")
