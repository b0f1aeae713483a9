"""How QEMU sends frames on a stream socket: each behind its length, four bytes, big-endian (``net/socket.c``)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = 14
"""Bytes of an Ethernet header: destination, source, type. No frame is shorter."""
LARGEST = 65536 + HEADER
"""Bytes of the largest frame: 64 KiB and the header."""
_LENGTH = struct.Struct(">L")


class FramingError(Exception):
    """What came is no frame, so nothing behind it can be trusted either."""


def framed(frame: bytes) -> bytes:
    """The frame as it goes on the stream."""
    return _LENGTH.pack(len(frame)) + frame


class FrameStream:
    """Takes a stream apart. It keeps no more than one frame that has not come whole."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that are whole now. Raises FramingError at a length that no frame has, after the frames before it."""
        self._rest += data
        at = 0
        try:
            while len(self._rest) >= at + _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._rest, at)
                if not HEADER <= length <= LARGEST:
                    raise FramingError(f"a frame of {length} bytes; expected {HEADER} to {LARGEST}")
                end = at + _LENGTH.size + length
                if len(self._rest) < end:
                    return
                frame = bytes(self._rest[at + _LENGTH.size : end])
                at = end
                yield frame
        finally:
            del self._rest[:at]
