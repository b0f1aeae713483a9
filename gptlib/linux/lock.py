"""The lock that keeps two writers of one disk apart: flock on the whole-disk node or on the image file.

udev takes the same lock for moments while it probes a disk, so a taken lock is asked for again until a deadline.
"""

from __future__ import annotations

import fcntl
import time

from gptlib.errors import BusyError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 10.0
"""Seconds."""
_PAUSE = 0.02


def lock_exclusive(
    fd: int,
    path: str,
    *,
    deadline: float = DEADLINE,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Take the exclusive lock; closing ``fd`` releases it. Raises BusyError after ``deadline`` seconds."""
    end = clock() + deadline
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock() >= end:
                raise BusyError(path, deadline) from None
            pause(_PAUSE)
        else:
            return
