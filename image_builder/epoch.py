"""The time that everything in an image has."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from image_builder.errors import EpochError

if TYPE_CHECKING:
    from collections.abc import Mapping

EPOCH = 1704067200
"""2024-01-01 00:00:00 UTC, in seconds: the time where nobody asks for another."""
FIRST = 315532800
"""1980-01-01 00:00:00 UTC: FAT counts from there (Microsoft's "FAT: General Overview", 2000)."""
LAST = 2147483647
"""2038-01-19 03:14:07 UTC: mkfs.ext4 of e2fsprogs 1.47.0 writes 32 bits, and the kernel reads a later time as one of 1901."""


def build_epoch(environ: Mapping[str, str] | None = None) -> int:
    """Seconds since 1970 from SOURCE_DATE_EPOCH (reproducible-builds.org's specification), or else ``EPOCH``.

    Raises EpochError. An empty variable counts as none.
    """
    value = (os.environ if environ is None else environ).get("SOURCE_DATE_EPOCH", "")
    if not value:
        return EPOCH
    if not re.fullmatch(r"[0-9]{1,10}", value) or not FIRST <= int(value) <= LAST:
        raise EpochError(value, FIRST, LAST)
    return int(value)
