"""One table of a TOML file, read strictly: every value is checked, every key must be known."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, TypeVar

from image_builder.definition.values import show
from image_builder.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")
_NAMES = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a table",
    list: "a list",
}


class Section:
    """A table named ``name`` (empty: the whole file) of the definition ``path``. Reading it raises DefinitionError."""

    def __init__(self, path: Path, name: str, fields: Mapping[str, object]) -> None:
        self.path, self.name, self._fields = path, name, fields
        self._known: list[str] = []

    def __iter__(self) -> Iterator[str]:
        """The keys that are there."""
        return iter(self._fields)

    def fail(self, key: str, detail: str) -> DefinitionError:
        """The error for a key of this table."""
        return DefinitionError(self.path, f"{self.name}.{key}" if self.name else key, detail)

    def has(self, key: str) -> bool:
        """Whether the key is there; it counts as known."""
        self._known.append(key)
        return key in self._fields

    def parse(self, key: str, parser: Callable[[object], T], default: T | None = None) -> T:
        """The value of a key as ``parser`` gives it, which raises ValueError with what it expected.

        Without a default the key is required.
        """
        if not self.has(key):
            if default is None:
                raise self.fail(key, _missing(parser))
            return default
        try:
            return parser(self._fields[key])
        except ValueError as error:
            raise self.fail(key, str(error)) from error

    def get(self, key: str, kind: type[T], default: T | None = None) -> T:
        """The value of a key, of exactly this type (``true`` is not a number). Without a default the key is required."""

        def parse(value: object) -> T:
            if type(value) is not kind:
                raise ValueError(f"is {show(value)}; expected {_NAMES[kind]}")
            return value

        return self.parse(key, parse, default)

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of some words."""

        def parse(value: object) -> str:
            if not isinstance(value, str) or value not in choices:
                raise ValueError(f"is {show(value)}; expected {' or '.join(repr(choice) for choice in choices)}")
            return value

        return self.parse(key, parse, default)

    def table(self, key: str) -> Section:
        """A table in this one; empty where it is missing."""
        return Section(self.path, f"{self.name}.{key}" if self.name else key, self.get(key, dict, {}))

    def tables(self, key: str) -> list[Section]:
        """The tables of an array, as ``[[key]]`` makes it."""
        found = self.get(key, list, [])
        for value in found:
            if not isinstance(value, dict):
                raise self.fail(key, f"holds {show(value)}; expected tables, each under [[{key}]]")
        return [Section(self.path, f"{key}[{place}]", value) for place, value in enumerate(found, 1)]

    def finish(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, 1)
                meant = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(self._known)}"
                raise self.fail(key, f"is not a setting; {meant}")


def _missing(parser: Callable[[object], object]) -> str:
    """What the parser says that it expects, for a key that is not there."""
    try:
        parser(None)
    except ValueError as error:
        return f"is missing; expected {str(error).partition('expected ')[2]}"
    return "is missing"
