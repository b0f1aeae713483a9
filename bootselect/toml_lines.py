"""On which line of a TOML file a key stands. The parser of the standard library does not tell.

A TOML document is a sequence of statements, each of which begins on a line of its own and is a document by itself. So the file
is cut into the shortest pieces that can be read.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ENDS = ("]", '"""', "'''")
"""One of them is on the last line of each statement that has more than one."""


def lines_of_keys(text: str) -> dict[str, int]:
    """Key -> line, counted from 1, of a TOML text that can be read: ``image``, ``image.name``, ``partition[2].label``."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, statement, heading in _statements(text):
        if heading:
            *above, table = _tables(_words(statement), counts, another=heading == "[[")
            for path in (*above, table):
                lines.setdefault(path, number)
        else:
            for key in _paths(statement, table):
                lines.setdefault(key, number)
    return lines


def line_of(key: str, lines: Mapping[str, int]) -> int:
    """The line of a key, or of the nearest table above one that is not there; 0 where there is none."""
    while key and key not in lines:
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return lines.get(key, 0)


def _words(statement: dict[str, Any]) -> list[str]:
    """The parts of a heading, from the value that it makes alone."""
    words: list[str] = []
    value: Any = statement
    while value:
        ((word, value),) = value.items()
        words.append(word)
        value = value[0] if isinstance(value, list) else value
    return words


def _tables(words: list[str], counts: dict[str, int], *, another: bool) -> list[str]:
    """The tables on the way to that of a heading, itself the last.

    ``partition.files`` is ``partition[2].files`` after the second [[partition]]. ``counts`` has the arrays so far; ``another``: the
    heading adds to one.
    """
    found: list[str] = []
    path = ""
    for place, word in enumerate(words, 1):
        path = f"{path}.{word}" if path else word
        found.append(path)
        if another and place == len(words):
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path = f"{path}[{counts[path]}]"
            found.append(path)
    return found


def _statements(text: str) -> Iterator[tuple[int, dict[str, Any], str]]:
    # Other marks that Python takes for ends of lines may stand in the texts of TOML.
    lines = text.replace("\r\n", "\n").split("\n")
    place = 0
    while place < len(lines):
        start = lines[place].lstrip()
        heading = "[[" if start.startswith("[[") else "[" if start.startswith("[") else ""
        for end in range(place + 1, len(lines) + 1):
            if end > place + 1 and not any(mark in lines[end - 1] for mark in _ENDS):
                continue
            try:
                statement = tomllib.loads("\n".join(lines[place:end]))
            except tomllib.TOMLDecodeError:
                continue
            yield place + 1, statement, heading
            place = end
            break
        else:
            place += 1


def _paths(value: object, before: str) -> Iterator[str]:
    """All keys below a value; tables in lists too."""
    if isinstance(value, dict):
        for key, inner in value.items():
            path = f"{before}.{key}" if before else key
            yield path
            yield from _paths(inner, path)
    elif isinstance(value, list):
        for place, inner in enumerate(value, 1):
            if isinstance(inner, (dict, list)):
                yield f"{before}[{place}]"
                yield from _paths(inner, f"{before}[{place}]")
