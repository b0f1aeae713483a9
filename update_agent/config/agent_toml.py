"""agent.toml and its drop-ins: a table for each section, a key for each setting."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from bootselect.toml_lines import line_of, lines_of_keys
from update_agent.config.fragment import Fragment
from update_agent.config.settings import ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

SECTIONS = tuple(dict.fromkeys(key.partition(".")[0] for key in ROWS))


def read_agent_toml(where: str, data: bytes) -> Fragment:
    """The assignments; an empty text is a value, and sets something to nothing."""
    fragment = Fragment(where)
    text = fragment.text(data)
    if text is None:
        return fragment
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        fragment.wrong("it is no TOML file of ours: it has tables in tables in tables")
        return fragment
    except ValueError as error:
        fragment.wrong(f"it is no TOML file: {error}")
        return fragment
    lines = lines_of_keys(text)
    for section, table in tables.items():
        if section not in SECTIONS:
            fragment.unknown(section, (*SECTIONS, *ROWS), line_of(section, lines))
        elif not isinstance(table, dict):
            fragment.wrong(f"{section} is a section; expected [{section}]", line_of(section, lines))
        else:
            _read(fragment, section, table, lines)
    return fragment


def _read(fragment: Fragment, section: str, table: Mapping[str, object], lines: Mapping[str, int]) -> None:
    for name, value in table.items():
        key = f"{section}.{name}"
        line = line_of(key, lines)
        row = ROWS.get(key)
        if row is None:
            fragment.unknown(key, ROWS, line)
        # Not isinstance: True is an int.
        elif type(value) is not (int if row.kind.number else str):
            kind = "a whole number" if row.kind.number else 'a text, such as "..."'
            fragment.wrong(f"{key} is {_shown(value)}; expected {kind}", line)
        else:
            fragment.assign(key, key, str(value), line)


def _shown(value: object) -> str:
    kinds = {dict: "a table", list: "a list", bool: "true" if value else "false", str: "a text"}
    return kinds.get(type(value)) or f"{value}"
