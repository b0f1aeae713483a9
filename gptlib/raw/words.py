"""Words for values that several structures have."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import RFC_4122, UUID

from gptlib.raw.values import Meaning
from gptlib.table.guid import Guid

if TYPE_CHECKING:
    from gptlib.raw.values import Geometry

_VERSIONS = {1: "from time and MAC address", 3: "MD5 of a name", 4: "random", 5: "SHA-1 of a name", 7: "from time"}


def guid_meaning(data: bytes, words: str = "") -> Meaning:
    """A GUID: its text (first three fields little endian), and how it was made where ``words`` do not say what it is."""
    guid = Guid(data)
    if words or guid.is_zero:
        return Meaning(str(guid), words or "none: all zero")
    made = UUID(bytes_le=data)
    if made.variant != RFC_4122:
        return Meaning(str(guid), "not in the form of RFC 4122")
    how = _VERSIONS.get(made.version or 0)
    return Meaning(str(guid), f"version {made.version}" + (f": {how}" if how else ""))


def crc_meaning(value: int, expected: int | None, what: str) -> Meaning:
    """A CRC beside what it should be; None where that cannot be told."""
    if expected is None:
        return Meaning(f"{value:#010x}", f"not checked: {what} cannot be read", valid=False)
    if value != expected:
        return Meaning(f"{value:#010x}", f"wrong: expected {expected:#010x}, the CRC of {what}", valid=False)
    return Meaning(f"{value:#010x}", f"ok: the CRC of {what}")


def lba_meaning(lba: int, disk: Geometry, problem: str = "") -> Meaning:
    """A sector, with the byte where it starts, and what is wrong with it."""
    words = disk.at(lba)
    if problem:
        words += f"; {problem}"
    return Meaning(lba, words, valid=not problem and lba < disk.sectors)


def size_words(size: int) -> str:
    """A number of bytes for people: ``12 MiB``, ``1.5 GiB``."""
    for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << power:
            return f"{size / (1 << power):.4g} {unit}"
    return f"{size} bytes"
