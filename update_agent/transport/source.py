"""What a source of bulk data is: something of which ranges can be read, wherever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


class Reader(Protocol):
    """The bytes of one range, in order."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the start of ``buffer``; the number of bytes, and 0 at the end of the range only.

        Raises a TransportError. What earlier calls gave is good, and nothing more than the range ever comes.
        """


class Source(Protocol):
    """Bytes that can be read from any offset; ``shown`` is what errors call them."""

    @property
    def shown(self) -> str:
        """For errors."""

    def size(self) -> int:
        """Bytes in all. Raises a TransportError."""

    def open(self, offset: int, length: int) -> AbstractContextManager[Reader]:
        """The ``length`` bytes from ``offset`` on, at least one. Raises a TransportError, here or while they are read."""


def read_exactly(reader: Reader, buffer: memoryview) -> int:
    """Read until the buffer is full or the range ends; the number of bytes. Raises what the reader raises."""
    done = 0
    while done < len(buffer) and (count := reader.readinto(buffer[done:])):
        done += count
    return done
