"""Sizes and places on the disk, as a definition writes them."""

from __future__ import annotations

import re

from image_builder.definition.model import ALIGNMENT

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"([0-9]+)([KMGTs])", re.ASCII)
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


def format_size(size: int) -> str:
    """So many bytes for a reader: exact in the largest unit that divides them, such as ``64 MiB``."""
    for unit, factor in reversed(_UNITS.items()):
        if size >= factor and size % factor == 0:
            return f"{size // factor} {unit}iB"
    return f"{size} bytes"
