"""CRC-32 of UEFI 2.10 section 5.3.1 (polynomial 0x04C11DB7 reflected, as in ISO 3309), computed by crcmod."""

from __future__ import annotations

import crcmod.crcmod

from gptlib.layout.zeros import AFTER_ZEROS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_XOR_OUT = 0xFFFFFFFF
_UNIT = 128

crc32: Callable[[bytes], int] = crcmod.crcmod.mkCrcFun(0x104C11DB7, initCrc=0, rev=True, xorOut=_XOR_OUT)
"""CRC-32 of the given bytes, an unsigned 32-bit number."""


def crc32_of_array(data: bytes) -> int:
    """CRC-32 of an entry array. The zeros at its end, most of nearly every array, are not looked at one by one.

    What 128 * 2^n zero bytes do to the register is a linear map, known beforehand. In Python, without crcmod's C extension,
    this is the difference between 2 ms and 0.1 ms an array.
    """
    end, runs = len(data), []
    unit, rest = divmod(end, _UNIT)
    level = unit.bit_length() - 2
    if rest or unit & (unit - 1) or level >= len(AFTER_ZEROS):
        return crc32(data)
    while level >= 0 and data.startswith(bytes(_UNIT << level), end - (_UNIT << level)):
        end -= _UNIT << level
        runs.append(AFTER_ZEROS[level])
        level -= 1
    register = crc32(data[:end]) ^ _XOR_OUT
    for columns in reversed(runs):
        register = _after(columns, register)
    return register ^ _XOR_OUT


def _after(columns: tuple[int, ...], register: int) -> int:
    result = 0
    for column in columns:
        if register & 1:
            result ^= column
        register >>= 1
    return result


def uses_c_extension() -> bool:
    """Whether crcmod computes in its C extension (0.03 ms for 16 KiB) or in Python (about 2 ms)."""
    # The package hides its module of the same name behind itself: crcmod.crcmod is crcmod. A from-import finds it.
    from crcmod.crcmod import _usingExtension

    return bool(_usingExtension)
