"""Sizes and places on the disk, as a definition writes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from image_builder.definition.model import ALIGNMENT, AutoSize

if TYPE_CHECKING:
    from image_builder.definition.section import Section

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"([0-9]{1,32})([KMGTs])", re.ASCII)
AUTO = "auto"
HEADROOM = 25
"""Percent of the content that an automatic size leaves free: what users of others ran out of were updates that grew."""
_MAX_BYTES = 1 << 63
"""No file can be longer (off_t)."""


def parse_size(value: object, sector_size: int) -> int:
    """Bytes: a number with K, M, G, T (powers of 1024) or s (sectors of the image), in whole MiB. Raises ValueError."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f'is {value!r}; expected a size such as "64M", "1G" or, in sectors, "2097152s"')
    number, unit = int(match[1]), match[2]
    size = number * (sector_size if unit == "s" else _UNITS[unit])
    if not 0 < size < _MAX_BYTES:
        raise ValueError(f"is {value!r}; expected more than nothing and less than 8 EiB")
    if size % ALIGNMENT:
        raise ValueError(f"is {value!r}, {size} bytes; expected a multiple of 1 MiB, on which partitions start and end")
    return size


def round_up(size: int) -> int:
    """The next multiple of 1 MiB."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def read_size(section: Section, sector_size: int) -> int | AutoSize:
    """The key ``size`` of a partition, with ``min``, ``max`` and ``headroom`` where it is "auto"."""

    def given(value: object) -> int | None:
        if value == AUTO:
            return None
        try:
            return fixed(value)
        except ValueError as error:
            raise ValueError(f'{error}, or "{AUTO}"') from error

    def fixed(value: object) -> int:
        return parse_size(value, sector_size)

    size = section.parse("size", given)
    least, most = section.parse("min", fixed, ALIGNMENT), section.optional("max", fixed)
    headroom, percent = section.parse("headroom", lambda value: _headroom(value, sector_size), (0, HEADROOM))
    for key in ("min", "max", "headroom"):
        if section.has(key) and size is not None:
            section.wrong(key, f'belongs to size = "{AUTO}", and size is {format_size(size)}; give one of the two')
    if most is not None and least > most:
        section.wrong("max", f"is {format_size(most)}; expected at least min, {format_size(least)}")
    return AutoSize(least, most, headroom, percent) if size is None else size


def auto_size(rule: AutoSize, content: int) -> int:
    """The size of a partition for so many bytes of content: with its headroom, in whole MiB, within its limits.

    It may be smaller than the content where ``most`` is: the caller says so.
    """
    wanted = round_up(content + rule.headroom + content * rule.percent // 100)
    wanted = max(wanted, rule.least)
    return wanted if rule.most is None else min(wanted, rule.most)


def _headroom(value: object, sector_size: int) -> tuple[int, int]:
    percent = re.fullmatch(r"([0-9]{1,3})%", value, re.ASCII) if isinstance(value, str) else None
    if percent:
        return 0, int(percent[1])
    try:
        return parse_size(value, sector_size), 0
    except ValueError as error:
        raise ValueError(f'{error}, or a part of the content such as "25%"') from error


def format_size(size: int) -> str:
    """So many bytes for a reader: exact in the largest unit that divides them, such as ``64 MiB``."""
    for unit, factor in reversed(_UNITS.items()):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}iB"
    return f"{size} bytes"
