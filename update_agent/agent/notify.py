"""What the service manager is told: ready, stopping, a line of status, still alive (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET = "NOTIFY_SOCKET"


class Notifier:
    """Tells the service manager; does nothing where there is none, or where it does not listen.

    ``address`` is a path, or with a ``@`` before it an abstract name; empty for none.
    """

    def __init__(self, address: str) -> None:
        # sd_notify(3): only these two; VSOCK is for virtual machines.
        known = address.startswith(("/", "@")) and len(address) > 1
        self._address = "" if not known else f"\0{address[1:]}" if address.startswith("@") else address

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Notifier:
        """The one of the environment."""
        return cls(environment.get(SOCKET, ""))

    def ready(self) -> None:
        """The start is done."""
        self._send("READY=1")

    def stopping(self) -> None:
        """The end has begun."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """A line for people, in ``systemctl status``."""
        self._send(f"STATUS={' '.join(text.split())}")

    def watchdog(self) -> None:
        """The agent is alive."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # A manager that is restarting, or busy, is no reason to stop or to hang.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.settimeout(1)
            sender.sendto(os.fsencode(text), self._address)
