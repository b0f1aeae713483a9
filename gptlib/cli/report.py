"""Tables and findings as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gptlib.table.types import type_description, type_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gptlib.read.findings import Finding
    from gptlib.read.state import Examination, State
    from gptlib.read.validation import Copy
    from gptlib.table.partition import Partition


def show_json(path: str, state: State, number: int | None) -> str:
    """What ``gptctl show --json`` prints: sizes and places in sectors, GUIDs in upper case as cgpt prints them."""
    table = state.table
    partitions = table.partitions if number is None else {number: table.partition(number)}
    return _text(
        {
            "path": path,
            "sector_size": table.sector_size,
            "sectors": table.total_sectors,
            "disk_guid": str(table.disk_guid),
            "first_usable": table.first_usable_lba,
            "last_usable": table.last_usable_lba,
            "entries": {"count": table.entries.capacity, "size": table.entries.entry_size},
            "source": state.source,
            "primary": _copy(state.primary),
            "backup": _copy(state.backup),
            "partitions": [_partition(index, partition) for index, partition in partitions.items()],
        }
    )


def matches_json(matches: Iterable[tuple[str, str, int, Partition]]) -> str:
    """What ``gptctl find --json`` prints: the drive and node of each match, and its entry as in ``show --json``."""
    return _text([{"path": path, "node": node, **_partition(index, entry)} for path, node, index, entry in matches])


def findings_json(path: str, found: Examination, findings: Iterable[Finding]) -> str:
    """What ``gptctl verify --json`` prints."""
    return _text(
        {
            "path": path,
            "usable": found.table is not None,
            "source": found.source,
            "findings": [finding._asdict() for finding in findings],
        }
    )


def _copy(copy: Copy) -> dict[str, Any]:
    return {
        "header_sector": copy.lba,
        "header_valid": copy.header_ok,
        "entries_valid": copy.entries_ok,
        "ignored": copy.ignored,
    }


def _partition(index: int, partition: Partition) -> dict[str, Any]:
    attributes = partition.attributes
    return {
        "number": index,
        "label": partition.label,
        "start": partition.first_lba,
        "size": partition.last_lba - partition.first_lba + 1,
        "type": type_name(partition.type_guid),
        "type_guid": str(partition.type_guid),
        "type_description": type_description(partition.type_guid),
        "guid": str(partition.unique_guid),
        "priority": attributes.priority,
        "tries": attributes.tries,
        "successful": attributes.successful,
        "required": attributes.required,
        "legacy_boot": attributes.legacy_boot,
        "attributes": f"{attributes:#018x}",
    }


def _text(value: dict[str, Any] | list[dict[str, Any]]) -> str:
    # ASCII escapes: a label may hold lone surrogates, which no encoding of a terminal can express.
    return json.dumps(value, indent=2) + "\n"
