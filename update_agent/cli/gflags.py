"""Command lines as gflags takes them, for a program whose flags are all on or off: ``-flag``, ``--flag``, ``--noflag``, ``--flag=false``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_TRUE, _FALSE = ("1", "t", "true", "y", "yes"), ("0", "f", "false", "n", "no")
_HELP = ("help", "helpfull", "helpshort")


class Flags(NamedTuple):
    """The flags that are on, and one line for each mistake. ``help`` and ``version`` come before mistakes."""

    on: frozenset[str]
    mistakes: tuple[str, ...]
    help: bool
    version: bool


def parse(words: Iterable[str], known: Iterable[str]) -> Flags:
    """Words that are no flags, and all after ``--``, are passed over. Of a flag that is given twice the last holds."""
    names = {*known, *_HELP, "version"}
    values: dict[str, bool] = {}
    mistakes: dict[str, str] = {}
    for word in words:
        if word in ("-", "") or not word.startswith("-"):
            continue
        if word == "--":
            break
        key, given, text = word[2 if word.startswith("--") else 1 :].partition("=")
        name = _name(key, names)
        if name is None and key.startswith("no"):
            name, given, text = _name(key[2:], names), "=", "false"
        if name is None:
            mistakes[key] = f"ERROR: unknown command line flag '{key}'"
        elif not given or text.lower() in _TRUE:
            values[name] = True
        elif text.lower() in _FALSE:
            values[name] = False
        else:
            mistakes[name] = f"ERROR: illegal value '{text}' specified for bool flag '{name}'"
    on = frozenset(name for name, value in values.items() if value)
    lines = tuple(text for _, text in sorted(mistakes.items()))
    return Flags(on - {*_HELP, "version"}, lines, bool(on.intersection(_HELP)), "version" in on)


def _name(key: str, names: set[str]) -> str | None:
    """The flag; dashes stand for underscores too."""
    return next((name for name in (key, key.replace("-", "_")) if name in names), None)
