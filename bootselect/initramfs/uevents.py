"""Waits for the kernel to announce block devices. Imported only where the disk is not there at once."""

from __future__ import annotations

import errno
import time
from _socket import AF_NETLINK, MSG_DONTWAIT, SO_RCVBUF, SOCK_CLOEXEC, SOCK_DGRAM, SOL_SOCKET, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Listener(Protocol):
        """What is needed of a socket that has the kernel's announcements."""

        def settimeout(self, seconds: float, /) -> None:
            """How long ``recv`` waits."""

        def recv(self, size: int, flags: int = 0, /) -> bytes:
            """One announcement."""

        def close(self) -> None:
            """Close it."""


_NETLINK_KOBJECT_UEVENT, _KERNEL_EVENTS = 15, 1
_SO_RCVBUFFORCE = 33
"""asm-generic/socket.h. Not bounded by net.core.rmem_max, which a slow scan of many disks would exceed."""
_BUFFER = 8 << 20
_LONGEST, _MOST = 8192, 100_000
_BLOCK = b"\0SUBSYSTEM=block\0"


class Uevents:
    """The kernel's announcements of devices. Without any (no netlink in this kernel), waiting is all that it does."""

    def __init__(
        self,
        listen: Callable[[], Listener] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._pause = clock, pause
        self._listener: Listener | None = None
        try:
            self._listener = (listen or open_listener)()
        except OSError:
            self.close()

    def wait(self, seconds: float) -> bool:
        """Whether a block device was announced within that time. Returns at once with the first, and with all others forgotten.

        Announcements that the kernel had to drop count as one.
        """
        end = self._clock() + seconds
        while (left := end - self._clock()) > 0:
            if self._listener is None:
                self._pause(left)
                return False
            self._listener.settimeout(left)
            try:
                announced = _BLOCK in self._listener.recv(_LONGEST)
            except TimeoutError:
                return False
            except OSError as error:
                announced = error.errno == errno.ENOBUFS
                if not announced:
                    self.close()
            if announced:
                self._forget()
                return True
        return False

    def _forget(self) -> None:
        """Drop what else is waiting: all disks are looked at once for all of it."""
        for _ in range(_MOST):
            if self._listener is None:
                return
            try:
                self._listener.recv(_LONGEST, MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    self.close()

    def close(self) -> None:
        """Stop listening."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()


def open_listener() -> Listener:
    """A socket with the kernel's announcements and room for thousands of them. Raises OSError."""
    listener = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, _NETLINK_KOBJECT_UEVENT)
    try:
        try:
            listener.setsockopt(SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        except OSError:
            # Without the privilege as much as there may be.
            listener.setsockopt(SOL_SOCKET, SO_RCVBUF, _BUFFER)
        listener.bind((0, _KERNEL_EVENTS))
    except OSError:
        listener.close()
        raise
    return listener
