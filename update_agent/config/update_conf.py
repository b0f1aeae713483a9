"""update.conf of CoreOS and Flatcar: ``NAME=value``, one a line, as update_engine, locksmithd and systemd's EnvironmentFile= read it."""

from __future__ import annotations

from update_agent.config.fragment import Fragment
from update_agent.config.settings import ROWS

KEYS = {name: row.key for row in ROWS.values() for name in row.conf}
"""Name in update.conf -> key of the setting."""
_COMMENTS = ("#", ";")
_QUOTES = ('"', "'")


def read_update_conf(where: str, data: bytes) -> Fragment:
    """The assignments; a name without a value sets nothing, and the last one of a name counts."""
    fragment = Fragment(where)
    for number, line in enumerate((fragment.text(data) or "").split("\n"), 1):
        words = line.strip()
        if not words or words.startswith(_COMMENTS):
            continue
        name, equals, written = words.partition("=")
        name, value = name.rstrip(), _unquoted(written.strip())
        if not equals or value is None:
            fragment.wrong(f"{name} is not followed by a value; expected NAME=value", number)
        elif name not in KEYS:
            fragment.unknown(name, KEYS, number)
        elif value:
            fragment.assign(KEYS[name], name, value, number)
    return fragment


def _unquoted(value: str) -> str | None:
    """Without the quotes around it; None where one is missing."""
    if not value.startswith(_QUOTES):
        return value
    return value[1:-1] if len(value) > 1 and value[-1] == value[0] else None
