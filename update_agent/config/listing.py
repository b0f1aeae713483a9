"""The settings as tables: for docs/update-settings.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.config.agent_toml import SECTIONS
from update_agent.config.settings import ROWS

if TYPE_CHECKING:
    from update_agent.config.settings import Row


def render() -> str:
    """All that is generated of the page: a table for each section, and one of the names that CoreOS has."""
    parts = []
    for section in SECTIONS:
        rows = [row for row in ROWS.values() if row.key.startswith(f"{section}.")]
        lines = [f"| `{row.key.partition('.')[2]}` | {_value(row)} | {_default(row)} | {row.about} |" for row in rows]
        parts.append(
            "\n".join([f"### [{section}]", "", "| key | value | default | what it does |", *_RULE, *lines, ""])
        )
    parts.append(_other_names())
    return "\n".join(parts)


_RULE = ("| --- | --- | --- | --- |",)


def _other_names() -> str:
    lines = [
        f"| `{row.key}` | {' '.join(f'`{name}`' for name in row.conf)} | {f'`{row.cloud}`' if row.cloud else ''} |"
        for row in ROWS.values()
        if row.conf or row.cloud
    ]
    head = ["### Names of CoreOS", "", "| setting | in update.conf | in a cloud-config |", "| --- | --- | --- |"]
    return "\n".join([*head, *lines, ""])


def _value(row: Row) -> str:
    return row.kind.expected.replace("|", "\\|")


def _default(row: Row) -> str:
    shown = row.kind.show(row.default)
    if row.kind.number:
        return f"`{shown}`"
    return f'`"{shown}"`' if shown else "none"
