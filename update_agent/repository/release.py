"""What the signed metadata say of a release, as values of which each field was checked.

The block ``custom: {"slotboot": {...}}`` of a TUF target. Fields that are not known are left for later; a block of a format that is
not known is no release for this program. ``publish`` puts nothing into metadata that this module would refuse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from bootselect.slots import slot_type
from gptlib.errors import InvalidValueError
from update_agent.repository.errors import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gptlib.table.guid import Guid

    T = TypeVar("T")

FORMAT = 1
INDEX_SUFFIX = ".index"
_LARGEST = (1 << 63) - 1
_LONGEST_NAME = 255 - 65
"""Bytes of a file name (NAME_MAX of Linux), less the hash and the dot before it."""
_LONGEST_LIST = 1000
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DIGEST = re.compile(r"(?:[0-9a-f]{2}){16,64}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_WORDS = {
    # The parts of file names, as image_builder.artifacts.names has them.
    "name": (re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*", re.ASCII), "letters, digits, '.' and '-'"),
    "version": (re.compile(r"[A-Za-z0-9][A-Za-z0-9.,+-]*", re.ASCII), "letters, digits, '.', ',', '+' and '-'"),
    "slot": (re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*", re.ASCII), "letters, digits and '-'"),
    "group": (re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII), "letters, digits, '.', '_' and '-'"),
    "blob": (re.compile(r"[0-9a-f]{64}\.(?:frames|delta)", re.ASCII), "a SHA-256 and '.frames' or '.delta'"),
    "kernel release": (re.compile(r"[A-Za-z0-9][A-Za-z0-9.,_+~-]{0,63}", re.ASCII), "what 'uname -r' prints"),
}


@dataclass(frozen=True)
class Target:
    """A small signed file: its name, its length in bytes, and its SHA-256 in lower-case hexadecimal."""

    name: str
    length: int
    sha256: str


@dataclass(frozen=True)
class Wave:
    """From ``begin`` on (UTC), ``percent`` of the machines may take the release."""

    begin: datetime
    percent: int


@dataclass(frozen=True)
class Delta:
    """From the slot image ``from_sha256`` of ``from_version``: an ``index``, and ``compressed`` bytes named ``blob`` under blobs/."""

    from_version: str
    from_sha256: str
    index: Target
    blob: str
    compressed: int


@dataclass(frozen=True)
class Release:
    """A release for one kind of slot.

    ``size`` and ``sha256`` are those of the raw slot image, ``compressed`` the bytes of ``blob`` under blobs/, all in bytes. No ``waves``: everybody may take it at once. ``kernel_releases``: those that it has modules for.
    """

    name: str
    version: str
    slot: str
    slot_type: Guid
    groups: tuple[str, ...]
    size: int
    sha256: str
    index: Target
    blob: str
    compressed: int
    kernel_releases: tuple[str, ...]
    own_kernel: bool
    root_hash: str | None
    minimum_version: str | None
    published: datetime
    waves: tuple[Wave, ...]
    deltas: tuple[Delta, ...]


def index_name(name: str, version: str, slot: str) -> str:
    """The name of the target that holds a release's index. Raises ValueError where a part is not fit for it."""
    found = f"{_word('name', name)}_{_word('version', version)}_{_word('slot', slot)}{INDEX_SUFFIX}"
    return _short_enough(found)


def delta_name(name: str, old: str, new: str, slot: str) -> str:
    """The name of the target that holds a delta's index. Raises ValueError where a part is not fit for it."""
    versions = f"{_word('version', old)}..{_word('version', new)}"
    return _short_enough(f"{_word('name', name)}_{versions}_{_word('slot', slot)}.delta")


def group_name(text: str) -> str:
    """The name of a group. Raises ValueError."""
    return _word("group", text)


def parse_release(target: Target, block: object, others: Mapping[str, Target]) -> Release:
    """The release that ``block`` (the value of "slotboot") says of a target. ``others``: all targets, in which its deltas must be.

    Raises ReleaseError.
    """
    try:
        fields = _Fields(block)
        known = fields.number("format", 1, _LARGEST)
        if known != FORMAT:
            raise ValueError(f"its format is {known}; this program knows {FORMAT}")
        return _release(target, fields, others)
    except (ValueError, InvalidValueError) as error:
        raise ReleaseError(target.name, str(error)) from error


def _release(target: Target, fields: _Fields, others: Mapping[str, Target]) -> Release:
    name, version, slot = (_word(part, fields.text(part)) for part in ("name", "version", "slot"))
    expected = index_name(name, version, slot)
    if target.name != expected:
        raise ValueError(f"the target of {name} {version} for {slot} is called {expected}")
    minimum, root_hash = fields.text_or_none("minimum-version"), fields.text_or_none("root-hash")
    return Release(
        name=name,
        version=version,
        slot=slot,
        slot_type=slot_type(fields.text("slot-type")),
        groups=_each_once("groups", (group_name(_string(item)) for item in fields.items("groups"))),
        size=fields.number("size", 1, _LARGEST),
        sha256=_match(_SHA256, "sha256", fields.text("sha256"), "64 digits, lower-case hexadecimal"),
        index=target,
        blob=_blob(fields.text("blob"), ".frames"),
        compressed=fields.number("compressed", 1, _LARGEST),
        kernel_releases=tuple(_word("kernel release", _string(item)) for item in fields.items("kernel-releases")),
        own_kernel=fields.truth("own-kernel"),
        root_hash=None if root_hash is None else _match(_DIGEST, "root-hash", root_hash, "lower-case hexadecimal"),
        minimum_version=None if minimum is None else _word("version", minimum),
        published=_date("published", fields.text("published")),
        waves=_waves(fields),
        deltas=tuple(_delta(_Fields(item), (name, version, slot), others) for item in fields.items("deltas")),
    )


def _waves(fields: _Fields) -> tuple[Wave, ...]:
    items = [_Fields(item) for item in fields.items("waves")]
    waves = tuple(Wave(_date("from", item.text("from")), item.number("percent", 0, 100)) for item in items)
    for before, after in pairwise(waves):
        if after.begin <= before.begin or after.percent < before.percent:
            raise ValueError("the field 'waves': dates and percentages must rise")
    return waves


def _delta(fields: _Fields, of: tuple[str, str, str], others: Mapping[str, Target]) -> Delta:
    name, version, slot = of
    old = _word("version", fields.text("from-version"))
    expected, found = delta_name(name, old, version, slot), fields.text("target")
    if found != expected or found not in others:
        raise ValueError(f"the delta from {old} must be the target {expected}, and that must be there; found {found!a}")
    return Delta(
        from_version=old,
        from_sha256=_match(_SHA256, "from-sha256", fields.text("from-sha256"), "64 digits, lower-case hexadecimal"),
        index=others[found],
        blob=_blob(fields.text("blob"), ".delta"),
        compressed=fields.number("compressed", 1, _LARGEST),
    )


class _Fields:
    """An object of JSON, each field of which is asked for by its type. Raises ValueError."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise ValueError(f"{_shown(value)} is no JSON object")  # noqa: TRY004  (the caller knows ValueError)
        self._value = value

    def text(self, name: str) -> str:
        return str(self._typed(name, str, "a text"))

    def text_or_none(self, name: str) -> str | None:
        return None if self._value.get(name) is None else self.text(name)

    def truth(self, name: str) -> bool:
        return bool(self._typed(name, bool, "true or false"))

    def number(self, name: str, least: int, most: int) -> int:
        value = int(self._typed(name, int, "a whole number"))
        if not least <= value <= most:
            raise ValueError(f"the field {name!r} is {_shown(value)}; expected {least} to {most}")
        return value

    def items(self, name: str) -> list[object]:
        value = self._typed(name, list, "a list")
        if len(value) > _LONGEST_LIST:
            raise ValueError(f"the field {name!r} has {len(value)} items; expected at most {_LONGEST_LIST}")
        return list(value)

    def _typed(self, name: str, kind: type, expected: str) -> Any:  # noqa: ANN401  (what JSON holds)
        value = self._value.get(name)
        # Not isinstance: True is an int.
        if type(value) is not kind:
            raise ValueError(f"the field {name!r} is {_shown(value)}; expected {expected}")
        return value


def _word(kind: str, text: str) -> str:
    form, letters = _WORDS[kind]
    return _match(form, kind, text, f"{letters}, a letter or digit first")


def _match(form: re.Pattern[str], what: str, text: str, expected: str) -> str:
    if not form.fullmatch(text):
        raise ValueError(f"the {what} is {_shown(text)}; expected {expected}")
    return text


def _blob(text: str, suffix: str) -> str:
    if not _word("blob", text).endswith(suffix):
        raise ValueError(f"the blob is {text}; expected a name that ends with {suffix}")
    return text


def _short_enough(name: str) -> str:
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"the name {name} has {len(name)} characters; expected at most {_LONGEST_NAME}")
    return name


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_shown(value)} stands where a text is expected")  # noqa: TRY004
    return value


def _each_once(what: str, values: Iterable[T]) -> tuple[T, ...]:
    found = tuple(values)
    if len(set(found)) != len(found):
        raise ValueError(f"the field {what!r} has an item twice")
    return found


def _date(what: str, text: str) -> datetime:
    """A date of RFC 3339 in UTC, to the second."""
    _match(_DATE, what, text, "a date such as 2026-11-30T12:00:00Z")
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _shown(value: object) -> str:
    """A value in a line for people, cut off where it is long."""
    try:
        text = ascii(value)
    except (ValueError, RecursionError):  # an int of more digits than Python prints, lists in lists
        return "a very long value"
    return text if len(text) <= 80 else f"{text[:77]}..."
