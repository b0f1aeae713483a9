"""Messages on the console and in the kernel log."""

from __future__ import annotations

import fcntl
import os
import time

from bootselect.initramfs.files import read_text
from gptlib.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ERROR, WARNING, NOTICE = 3, 4, 5
"""Kernel log levels (linux/kern_levels.h)."""
_KMSG, _CONSOLE, _PRINTK = "/dev/kmsg", "/dev/console", "/proc/sys/kernel/printk"
# asm-generic/ioctls.h
_TIOCOUTQ, _TCSBRK = 0x5411, 0x5409
_DRAIN_SECONDS, _PAUSE = 2.0, 0.01


class Log:
    """Writes each message to the kernel log, and to the console where the kernel would not show it there itself."""

    def __init__(self, kmsg: str = _KMSG, console: str = _CONSOLE, printk: str = _PRINTK) -> None:
        self._kmsg, self._console = kmsg, console
        level = read_text(printk).split()
        self._shown_below = int(level[0]) if level and level[0].isdigit() else 0

    def say(self, text: str, level: int = NOTICE) -> None:
        """One line, with what comes from a disk escaped. A log that cannot be written is no reason not to boot."""
        line = f"bootselect: {printable(text)}"
        # The kernel limits the rate for each opening of kmsg, so every message has its own.
        logged = _append(self._kmsg, f"<{level}>{line}\n")
        if not logged or level >= self._shown_below:
            _append(self._console, f"{line}\n")

    def drain(self, clock: Callable[[], float] = time.monotonic, pause: Callable[[float], None] = time.sleep) -> None:
        """Return when what was written to the console has left it: a kernel that is started now would cut it short.

        After two seconds in any case: a console that is stopped (Ctrl-S) is no reason not to boot either.
        """
        try:
            fd = os.open(self._console, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:
            return
        try:
            end = clock() + _DRAIN_SECONDS
            while int.from_bytes(fcntl.ioctl(fd, _TIOCOUTQ, bytes(4)), "little"):
                if clock() >= end:
                    return
                pause(_PAUSE)
            # tcdrain(3), which waits for the last bytes in the hardware too, and for ever where the queue does not empty.
            fcntl.ioctl(fd, _TCSBRK, 1)
        except OSError:
            return
        finally:
            os.close(fd)


def _append(path: str, text: str) -> bool:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_APPEND)
    except OSError:
        return False
    try:
        os.write(fd, text.encode("utf-8", "replace"))
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
