"""Messages on the console and in the kernel log."""

from __future__ import annotations

import os

from bootselect.initramfs.files import read_text

ERROR, WARNING, NOTICE = 3, 4, 5
"""Kernel log levels (linux/kern_levels.h)."""
_KMSG, _CONSOLE, _PRINTK = "/dev/kmsg", "/dev/console", "/proc/sys/kernel/printk"


class Log:
    """Writes each message to the kernel log, and to the console where the kernel would not show it there itself."""

    def __init__(self, kmsg: str = _KMSG, console: str = _CONSOLE, printk: str = _PRINTK) -> None:
        self._kmsg, self._console = kmsg, console
        level = read_text(printk)
        self._shown_below = int(level.split()[0]) if level else 0

    def say(self, text: str, level: int = NOTICE) -> None:
        """One line. A console or kernel log that cannot be written is no reason not to boot."""
        line = f"bootselect: {text}".replace("\n", " ")
        # The kernel limits the rate for each opening of kmsg, so every message has its own.
        logged = _append(self._kmsg, f"<{level}>{line}\n")
        if not logged or level >= self._shown_below:
            _append(self._console, f"{line}\n")


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
