"""CRC-32 of UEFI 2.10 section 5.3.1 (polynomial 0x04C11DB7 reflected, as in ISO 3309), computed by crcmod."""

from __future__ import annotations

import crcmod.crcmod

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

crc32: Callable[[bytes], int] = crcmod.crcmod.mkCrcFun(0x104C11DB7, initCrc=0, rev=True, xorOut=0xFFFFFFFF)
"""CRC-32 of the given bytes, an unsigned 32-bit number."""


def uses_c_extension() -> bool:
    """Whether crcmod computes in its C extension (0.03 ms for 16 KiB) or in Python (about 2 ms)."""
    # The package hides its module of the same name behind itself: crcmod.crcmod is crcmod. A from-import finds it.
    from crcmod.crcmod import _usingExtension

    return bool(_usingExtension)
