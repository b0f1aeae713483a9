"""Checks of values when they are made. ``bool`` is not a number here: what is meant by one as an LBA is anybody's guess."""

from __future__ import annotations

from gptlib.errors import InvalidValueError

MAX_LBA = (1 << 64) - 1
_SHOWN = 80
"""Letters of a value in an error."""


def check_number(name: str, value: object, least: int = 0, most: int = MAX_LBA) -> None:
    """Raise InvalidValueError unless ``value`` is a whole number from ``least`` to ``most``."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidValueError(f"the {name} cannot be {_short(value)}; expected a whole number from {least} to {most}")


def check_kind(name: str, value: object, kind: type) -> None:
    """Raise InvalidValueError unless ``value`` is of this class."""
    if not isinstance(value, kind):
        raise InvalidValueError(f"the {name} cannot be {_short(value)}; expected {kind.__name__}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
