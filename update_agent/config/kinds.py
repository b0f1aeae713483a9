"""Kinds of values: how each is written, read and shown.

A value is a text wherever it comes from, but for whole numbers in TOML. What is read from a text by ``parse`` is what ``show`` writes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
DISABLED = "disabled"
"""The word of update.conf for a server that is never asked."""
UNLIMITED = "off"
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit in _UNITS))
_RATES = {"GB/s": 10**9, "MB/s": 10**6, "kB/s": 10**3, "B/s": 1}
_RATE = re.compile(r"([0-9]{1,12})(GB/s|MB/s|kB/s|B/s)")
_SIZES = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10}
_SIZE = re.compile(r"([0-9]{1,6})(GiB|MiB|KiB)")
_CREDENTIALS = re.compile(r"(//|^)[^/]*@")
_LONGEST = 4096


@dataclass(frozen=True)
class Kind(Generic[T]):
    """``parse`` raises ValueError for a text that is none; ``expected`` says then what would be one.

    ``number``: a whole number in TOML. ``hide`` takes what is secret out of a text of the kind, right or wrong, before it is shown.
    """

    expected: str
    parse: Callable[[str], T]
    show: Callable[[T], str]
    number: bool = False
    hide: Callable[[str], str] = str


def text(pattern: str, expected: str) -> Kind[str]:
    """A text on one line that the whole pattern fits."""

    def parse(written: str) -> str:
        if len(written) > _LONGEST or not written.isprintable() or re.fullmatch(pattern, written) is None:
            raise ValueError
        return written

    return Kind(expected, parse, str)


def checked(parse: Callable[[str], object], expected: str) -> Kind[str]:
    """A text that ``parse`` takes, without the blanks around it; or none."""

    def read(written: str) -> str:
        if written.strip():
            parse(written.strip())
        return written.strip()

    return Kind(expected, read, str)


def choice(*words: str) -> Kind[str]:
    """One of these words."""
    return text("|".join(map(re.escape, words)), f"one of {', '.join(words)}")


def whole_number(lowest: int, highest: int) -> Kind[int]:
    """A whole number between these, themselves included."""

    def parse(written: str) -> int:
        number = int(written) if re.fullmatch(r"[0-9]{1,9}", written) else -1
        return _within(number, lowest, highest)

    return Kind(f"a whole number from {lowest} to {highest}", parse, str, number=True)


def duration(lowest: str, highest: str) -> Kind[timedelta]:
    """A time such as ``1h30m``, between these, themselves included."""
    bounds = _seconds(lowest), _seconds(highest)

    def parse(written: str) -> timedelta:
        return timedelta(seconds=_within(_seconds(written), *bounds))

    return Kind(f'a time from {lowest} to {highest}, as "1h30m"', parse, show_duration)


def rate(lowest: str, *, unlimited: bool = False) -> Kind[int]:
    """Bytes a second, at least ``lowest``; where it may be unlimited, that is 0."""

    def parse(written: str) -> int:
        if unlimited and written == UNLIMITED:
            return 0
        return _within(_number(_RATE, _RATES, written), _number(_RATE, _RATES, lowest), 10**12)

    def show(value: int) -> str:
        return _in_units(value, _RATES) if value else UNLIMITED

    or_off = f' or "{UNLIMITED}"' if unlimited else ""
    return Kind(f'bytes a second from {lowest} on, as "500kB/s" or "2MB/s"{or_off}', parse, show)


def size(lowest: str, highest: str) -> Kind[int]:
    """Bytes, between these, themselves included."""
    bounds = _number(_SIZE, _SIZES, lowest), _number(_SIZE, _SIZES, highest)

    def parse(written: str) -> int:
        return _within(_number(_SIZE, _SIZES, written), *bounds)

    return Kind(
        f'a size from {lowest} to {highest}, as "64KiB" or "1MiB"', parse, lambda value: _in_units(value, _SIZES)
    )


def url(*others: str, folders: bool = False, schemes: tuple[str, ...] = ("http", "https")) -> Kind[str]:
    """An address of these schemes, empty, or one of the other words; where folders are allowed, the path or ``file://`` URL of one."""

    def parse(written: str) -> str:
        if written in ("", *others) or (folders and _is_path(written.removeprefix("file://"))):
            return written
        if len(written) > _LONGEST or not written.isprintable() or " " in written:
            raise ValueError
        parts = urlsplit(written)
        # A port that is none raises ValueError, too.
        if parts.scheme not in schemes or not parts.hostname or parts.port == 0 or parts.fragment:
            raise ValueError
        return written

    begins = " or ".join(f"{scheme}://" for scheme in schemes)
    words = [f"an address that begins with {begins}", *(["the path of a folder"] if folders else [])]
    return Kind(f'{", ".join([*words, *others])}, or ""', parse, str, hide=without_credentials)


def addresses() -> Kind[str]:
    """A text on one line that may hold addresses, separated by commas."""
    return Kind("a text on one line", text(".*", "").parse, str, hide=without_credentials)


def path(*, empty: bool = False) -> Kind[str]:
    """The path of a file or folder from the root on; there need not be one."""

    def parse(written: str) -> str:
        if not (_is_path(written) or (empty and not written)):
            raise ValueError
        return written

    return Kind('a path that begins with "/"' + (', or ""' if empty else ""), parse, str)


def without_credentials(written: str) -> str:
    """A text with addresses in it, as it may be shown: what stands before an ``@`` may be a password or a token."""
    hidden = ",".join(_CREDENTIALS.sub(r"\1***@", word) for word in written.split(","))
    return hidden if "@" not in hidden.replace("***@", "") else f"***@{hidden.rpartition('@')[2]}"


def show_duration(value: timedelta) -> str:
    """``1h30m``: whole seconds in the fewest words."""
    left, shown = int(value.total_seconds()), ""
    for unit, seconds in _UNITS.items():
        number, left = divmod(left, seconds)
        shown += f"{number}{unit}" if number else ""
    return shown or "0s"


def _seconds(written: str) -> int:
    found = _DURATION.fullmatch(written)
    if found is None or not written:
        raise ValueError
    return sum(int(number or 0) * seconds for number, seconds in zip(found.groups(), _UNITS.values(), strict=True))


def _number(pattern: re.Pattern[str], units: dict[str, int], written: str) -> int:
    found = pattern.fullmatch(written)
    if found is None:
        raise ValueError
    return int(found[1]) * units[found[2]]


def _in_units(value: int, units: dict[str, int]) -> str:
    unit, factor = next(((unit, factor) for unit, factor in units.items() if value % factor == 0), ("", 1))
    return f"{value // factor}{unit}"


def _within(number: int, lowest: int, highest: int) -> int:
    if not lowest <= number <= highest:
        raise ValueError
    return number


def _is_path(written: str) -> bool:
    return (
        written.startswith("/")
        and len(written) <= _LONGEST
        and written.isprintable()
        and ".." not in written.split("/")
    )
