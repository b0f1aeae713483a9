"""What was said on a network, in a file that tcpdump and Wireshark read: classic pcap (draft-ietf-opsawg-pcap)."""

from __future__ import annotations

import struct
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_MAGIC, _VERSION, _SNAPLEN, _ETHERNET = 0xA1B2C3D4, (2, 4), 262144, 1


class Capture:
    """Writes each frame with the time of the host at which the switch had it. ``flush`` makes it readable for others."""

    def __init__(self, path: Path, clock: Callable[[], int] = time.time_ns) -> None:
        """Make the file, or empty it. ``clock`` has nanoseconds since 1970. Raises OSError, as the methods do."""
        self.path, self._clock = path, clock
        self._file = path.open("wb")
        self._file.write(struct.pack("<LHHlLLL", _MAGIC, *_VERSION, 0, 0, _SNAPLEN, _ETHERNET))
        self._file.flush()

    def write(self, frame: bytes) -> None:
        """Append a frame."""
        seconds, nanoseconds = divmod(self._clock(), 1_000_000_000)
        self._file.write(struct.pack("<LLLL", seconds, nanoseconds // 1000, len(frame), len(frame)) + frame)

    def flush(self) -> None:
        """Hand to the kernel what was written."""
        self._file.flush()

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        self._file.close()
