"""The terminal of a person, in raw mode, and a log file that is followed as it grows."""

from __future__ import annotations

import ctypes
import os
import termios
import tty
from contextlib import suppress
from typing import TYPE_CHECKING

from qemu_tests.interactive.errors import NoTerminalError

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

_IN_MODIFY = 2
_CHUNK = 65536


class Follower:
    """What is appended to a file. ``descriptor`` is readable when there is more (inotify)."""

    def __init__(self, path: Path) -> None:
        """From what stands in the file now. Raises OSError."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._file = path.open("rb", buffering=0)
        self._file.seek(0, os.SEEK_END)
        self.descriptor: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.descriptor < 0 or libc.inotify_add_watch(self.descriptor, os.fsencode(path), _IN_MODIFY) < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(path))

    def close(self) -> None:
        """Follow no longer."""
        self._file.close()
        os.close(self.descriptor)

    def read(self) -> bytes:
        """What is new."""
        with suppress(BlockingIOError):  # nobody told of it yet
            os.read(self.descriptor, _CHUNK)
        return self._file.readall()


class Terminal:
    """Keys in, bytes out, both as they are. Use it as a context manager, which gives the terminal back as it was."""

    def __init__(self, keys: int, screen: int) -> None:
        """Two descriptors of a terminal. Raises NoTerminalError."""
        if not (os.isatty(keys) and os.isatty(screen)):
            raise NoTerminalError
        self.keys, self._screen = keys, screen
        self._before = termios.tcgetattr(keys)

    def __enter__(self) -> Self:
        tty.setraw(self.keys)
        return self

    def __exit__(self, *_: object) -> None:
        termios.tcsetattr(self.keys, termios.TCSADRAIN, self._before)

    def read(self) -> bytes:
        """What was typed; empty when nobody is there any more."""
        try:
            return os.read(self.keys, _CHUNK)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Show it."""
        while data:
            data = data[os.write(self._screen, data) :]

    def say(self, *lines: str) -> None:
        """Lines of ours, between those of the machine."""
        self.write("".join(f"\r\n\x1b[7m bootlab \x1b[0m {line}\x1b[K" for line in lines).encode() + b"\r\n")
