"""One table of a TOML file, read strictly: every value is checked, every key must be known, and all mistakes are kept."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from bootselect.toml_lines import line_of
from image_builder.definition.values import show
from image_builder.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
_CLOSE = 0.75
"""How alike a hint and what was written must be: a letter or two, not another word."""


class Mistakes:
    """What is wrong in one definition, in the order of its lines."""

    def __init__(self, path: Path, lines: dict[str, int]) -> None:
        """``lines`` are those of the keys (``bootselect.toml_lines``)."""
        self.path, self.lines = path, lines
        self._found: dict[tuple[str, str], Mistake] = {}
        self._meant: set[str] = set()

    def add(self, key: str, detail: str) -> None:
        """A mistake at a key."""
        self._found.setdefault((key, detail), Mistake(self.path, key, detail, line_of(key, self.lines)))

    def meant(self, key: str) -> None:
        """A key that is there under a wrong name."""
        self._meant.add(key)

    def at(self, key: str) -> bool:
        """Whether the value of a key cannot be used."""
        return key in self._meant or any(found == key for found, _ in self._found)

    def below(self, name: str) -> bool:
        """Whether anything is wrong at a key or below it."""
        keys = {*self._meant, *(key for key, _ in self._found)}
        return any(not name or key == name or key.startswith((f"{name}.", f"{name}[")) for key in keys)

    def all(self) -> list[Mistake]:
        """All of them."""
        return sorted(self._found.values(), key=lambda mistake: mistake.line)


@dataclass(frozen=True)
class Asked:
    """How a key is read. ``default`` is None where there is none: then it is ``required``, or means something else by its absence."""

    parser: Callable[[object], object]
    default: object
    required: bool

    @property
    def expected(self) -> str:
        """What the parser says that it expects; empty where it does not say."""
        try:
            self.parser(None)
        except ValueError as error:
            return str(error).partition("expected ")[2]
        return ""


class Section:
    """A table named ``name`` (empty: the whole file) of a definition.

    What is wrong goes to ``mistakes``; the value that is read in its place is the default, or none at all. So what is made
    of a section counts only if ``finish`` says so. One mistake is told once: ``readable`` is false where the table stands under
    a wrong name or is no table, and then nothing is said to be missing in it. ``asked`` is every key that was asked for so far.
    """

    def __init__(self, mistakes: Mistakes, name: str, fields: Mapping[str, object], *, readable: bool = True) -> None:
        self.mistakes, self.name, self.readable, self._fields = mistakes, name, readable, fields
        self.asked: dict[str, Asked] = {}
        self._known: dict[str, None] = {}
        self._absent: dict[str, str] = {}

    def __iter__(self) -> Iterator[str]:
        """The keys that are there."""
        return iter(self._fields)

    @property
    def folder(self) -> Path:
        """Where relative paths begin: the folder of the definition."""
        return self.mistakes.path.parent

    def wrong(self, key: str, detail: str) -> None:
        """A mistake at a key of this table."""
        self.mistakes.add(self.key(key), detail)

    def absent(self, key: str, detail: str) -> None:
        """A mistake at a key that is not there; none where it turns out to stand there under a wrong name."""
        if self.readable:
            self._absent.setdefault(key, detail)

    def key(self, key: str) -> str:
        """The whole name of a key of this table."""
        return f"{self.name}.{key}" if self.name else key

    def has(self, key: str) -> bool:
        """Whether the key is there; it counts as known."""
        self._known[key] = None
        return key in self._fields

    def parse(self, key: str, parser: Callable[[object], T], default: T | None = None) -> T:
        """The value of a key as ``parser`` gives it, which raises ValueError with what it expected.

        Without a default the key is required.
        """
        asked = self.asked.setdefault(key, Asked(parser, default, default is None))
        if not self.has(key):
            if asked.required:
                self.absent(key, f"is missing; expected {asked.expected}" if asked.expected else "is missing")
            return cast("T", default)
        try:
            return parser(self._fields[key])
        except ValueError as error:
            self.wrong(key, str(error))
            return cast("T", default)

    def optional(self, key: str, parser: Callable[[object], T]) -> T | None:
        """The value of a key, or None where it is not there."""
        self.asked.setdefault(key, Asked(parser, None, required=False))
        return self.parse(key, parser) if self.has(key) else None

    def get(self, key: str, kind: type[T], default: T | None = None) -> T:
        """The value of a key, of exactly this type (``true`` is not a number). Without a default the key is required."""

        def parse(value: object) -> T:
            if type(value) is not kind:
                raise ValueError(f"is {show(value)}; expected {_NAMES[kind]}")
            return value

        return self.parse(key, parse, default)

    def get_any(self, key: str) -> object:
        """The value of a key that is there, whatever it is."""
        self._known[key] = None
        return self._fields[key]

    def choice(self, key: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of some words."""

        def parse(value: object) -> str:
            if not isinstance(value, str) or value not in choices:
                raise ValueError(f"is {show(value)}; expected {' or '.join(repr(choice) for choice in choices)}")
            return value

        return self.parse(key, parse, default)

    def table(self, key: str) -> Section:
        """A table in this one; empty where it is missing."""
        found = self.get(key, dict, {})
        if key not in self._fields and self._near(key, self._fields):
            self.mistakes.meant(self.key(key))
        return Section(self.mistakes, self.key(key), found, readable=not self.mistakes.at(self.key(key)))

    def named_tables(self, key: str) -> dict[str, Section]:
        """The tables ``[key.NAME]`` by their names."""
        outer = self.table(key)
        found = {}
        for name in outer:
            value = outer._fields[name]
            if isinstance(value, dict):
                found[name] = Section(self.mistakes, outer.key(name), value)
        others = [name for name in outer if name not in found]
        if others:
            names = ", ".join(repr(name) for name in others)
            self.wrong(key, f"holds {names}; expected tables with names of their own, such as [{key}.base]")
        return found

    def tables(self, key: str) -> list[Section]:
        """The tables of an array, as ``[[key]]`` makes it."""
        found = self.get(key, list, [])
        for place, value in enumerate(found, 1):
            if not isinstance(value, dict):
                self.wrong(key, f"holds {show(value)} at place {place}; expected tables, each under [[{key}]]")
        values = [(place, value) for place, value in enumerate(found, 1) if isinstance(value, dict)]
        return [Section(self.mistakes, f"{self.key(key)}[{place}]", value) for place, value in values]

    def accept_all(self) -> None:
        """Take all keys for known: which ones are cannot be told."""
        self._known.update(dict.fromkeys(self._fields))

    def finish(self) -> bool:
        """Refuse keys that nobody asked for, and miss those that are not there. Whether there are no mistakes in all of it."""
        for key in self:
            if key not in self._known:
                near = self._near(key, self._known)
                meant = f"did you mean {near!r}?" if near else f"known are {', '.join(self._known)}"
                self.wrong(key, f"is not a setting; {meant}")
                if near:
                    self.mistakes.meant(self.key(near))
        for key, detail in self._absent.items():
            if not self.mistakes.at(self.key(key)):
                self.wrong(key, detail)
        return self.readable and not self.mistakes.below(self.name)

    @staticmethod
    def _near(key: str, words: Iterable[str]) -> str:
        """The word that was meant by a key, or nothing."""
        return next(iter(difflib.get_close_matches(key, words, 1, _CLOSE)), "")
