"""What those who are logged in read before a reboot: the bytes of locksmith, on each of their terminals."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

DEV = Path("/dev")
WIDTH = 79
PATIENCE = 2.0
"""Seconds that all terminals together may take to read it."""
_PAUSE = 0.05


def reboot_in(seconds: float) -> str:
    """The words of the warning.

    >>> reboot_in(300), reboot_in(60), reboot_in(30)
    ('System reboot in 5 minutes!', 'System reboot in 1 minute!', 'System reboot in 30 seconds!')
    """
    number, unit = (round(seconds / 60), "minute") if seconds >= 60 else (max(1, round(seconds)), "second")
    return f"System reboot in {number} {unit}{'' if number == 1 else 's'}!"


CANCELLED = "System reboot cancelled."


def message(text: str, now: datetime) -> bytes:
    """A message as it goes to a terminal: an empty line, who says it and when, the text, an empty line, each 79 columns wide."""
    blank = "\r" + " " * WIDTH + "\r\n"
    head = f"Broadcast message from locksmithd at {now.strftime('%Y-%m-%d %H:%M:%S.%f')}000 {now.strftime('%z %Z')}:"
    return f"{blank}{_row(head)}\a\a\r\n{_row(text)}\r\n{blank}".encode("ascii", "replace")


def _row(text: str) -> str:
    return text[:WIDTH].ljust(WIDTH)


def broadcast(
    data: bytes,
    names: Iterable[str],
    dev: Path = DEV,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[str, ...]:
    """Write to each of these terminals; the names of those that took all of it.

    One that does not read (somebody typed ^S) is given up after ``patience`` seconds, and never waited for by a system call.
    """
    left = {fd: (name, data) for name in names if (fd := _open(dev / name)) is not None}
    done, end = [], clock() + patience
    try:
        while left:
            for fd, (name, rest) in list(left.items()):
                left[fd] = name, rest[_written(fd, rest) :]
                if not left[fd][1]:
                    done.append(name)
                    del left[fd]
                    os.close(fd)
            if not left or clock() >= end:
                break
            sleep(_PAUSE)
    finally:
        for fd in left:
            os.close(fd)
    return tuple(done)


def _open(path: Path) -> int | None:
    """A terminal, opened so that neither this nor writing to it can hang; None where it is none, or not ours to write to."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    with suppress(OSError):
        if stat.S_ISCHR(os.fstat(fd).st_mode) and os.isatty(fd):
            return fd
    os.close(fd)
    return None


def _written(fd: int, data: bytes) -> int:
    """How many bytes it took; all of them where it is gone."""
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0
    except OSError:
        return len(data)
