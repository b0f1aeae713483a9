"""The header of a zstd frame (RFC 8878, section 3.1.1.1), read before libzstd sees the frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from update_agent.payload.errors import FrameError

if TYPE_CHECKING:
    from update_agent.payload.frames import Buffer

LARGEST_WINDOW: Final = 8 << 20
"""Bytes that a frame may want to look back; what every decoder supports."""
MAGIC: Final = bytes.fromhex("28b52ffd")
_SINGLE_SEGMENT, _RESERVED = 0x20, 0x08


def check_header(frame: Buffer, size: int) -> None:
    """Raises FrameError when a frame does not begin as one of ours that holds ``size`` bytes, or wants too large a window."""
    if bytes(frame[:4]) != MAGIC:
        raise FrameError("it does not begin as a frame of zstd")
    flags, place = _bytes(frame, 4, 1), 5
    if flags & _RESERVED:
        raise FrameError("it is of a later format of zstd")
    single = bool(flags & _SINGLE_SEGMENT)
    window = None
    if not single:
        window, place = _window(_bytes(frame, place, 1)), place + 1
    length = (0, 1, 2, 4)[flags & 3]
    if _bytes(frame, place, length):
        raise FrameError("it needs a dictionary with a number")
    place += length
    length = (1 if single else 0, 2, 4, 8)[flags >> 6]
    if not length:
        raise FrameError("it does not name its size")
    named = _bytes(frame, place, length) + (256 if length == 2 else 0)
    if named != size:
        raise FrameError(f"it names {named} bytes, its index says {size}")
    if (window or named) > LARGEST_WINDOW:
        raise FrameError(f"it wants {window or named} bytes of memory, at most {LARGEST_WINDOW} are given")


def _window(descriptor: int) -> int:
    base = 1 << (10 + (descriptor >> 3))
    return base + base // 8 * (descriptor & 7)


def _bytes(frame: Buffer, place: int, length: int) -> int:
    if len(frame) < place + length:
        raise FrameError("it ends in its header")
    return int.from_bytes(frame[place : place + length], "little")
