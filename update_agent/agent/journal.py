"""What the agent tells the journal so that it can be found again: messages with an id (docs/update-interfaces.md).

They go to systemd-journald in its own protocol, one datagram each; where there is none, as a line to standard error.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from update_agent.state.transitions import Happening

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from update_agent.state.machine import Machine

SOCKET = "/run/systemd/journal/socket"
IDENTIFIER = "slotboot-update"
NOTICE, WARNING = 5, 4
"""Priorities of syslog."""


@dataclass(frozen=True)
class Kind:
    """A kind of message: its id never changes. ``text`` says it, with the version, and the version that runs."""

    id: str
    name: str
    priority: int
    text: str


UPDATED = Kind(
    "0764fa88887243bcb75ffcac7d4de54f", "updated", NOTICE, "Updated to version {version}: it runs and has proved itself"
)
ROLLED_BACK = Kind(
    "e3626f5a57c249abaa5e5642b9e95d3d",
    "rolled back",
    WARNING,
    "Version {version} was rolled back, {running} runs: {reason}",
)
REFUSED = Kind("b7a398c0823e4ada842cc71ad950cb51", "refused", WARNING, "Version {version} was refused: {reason}")
KINDS = {Happening.PROVED: UPDATED, Happening.ROLL_BACK: ROLLED_BACK, Happening.REFUSE: REFUSED}
"""What leads to which message."""


@dataclass(frozen=True)
class Entry:
    """A message with its fields; ``fields`` begin with MESSAGE."""

    fields: Mapping[str, str]

    @property
    def line(self) -> str:
        """For people."""
        return self.fields["MESSAGE"]


def entry_of(machine: Machine, running: str) -> Entry | None:
    """The message about what led the machine to where it is; None where there is none. ``running`` is the version that runs."""
    kind = KINDS.get(machine.event)
    if kind is None:
        return None
    version, reason = machine.version or "unknown", machine.reason
    fields = {
        "MESSAGE": kind.text.format(version=version, running=running, reason=reason),
        "MESSAGE_ID": kind.id,
        "PRIORITY": str(kind.priority),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "SLOTBOOT_VERSION": version,
        "SLOTBOOT_RUNNING_VERSION": running,
        "SLOTBOOT_REASON": reason,
        "SLOTBOOT_SLOT": machine.slot or "",
    }
    return Entry({name: value for name, value in fields.items() if value})


def encode(entry: Entry) -> bytes:
    """The datagram: ``NAME=value`` on a line; a value of several lines with its length before it (little endian, 64 bits)."""
    return b"".join(_field(name, value.encode("utf-8", "replace")) for name, value in entry.fields.items())


def _field(name: str, value: bytes) -> bytes:
    key = name.encode("ascii")
    if b"\n" in value:
        return key + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return key + b"=" + value + b"\n"


def connect(path: str = SOCKET) -> socket.socket | None:
    """A socket to the journal; None where there is none."""
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        sender.connect(path)
    except OSError:
        sender.close()
        return None
    sender.settimeout(5)
    return sender


class Journal:
    """Sends messages. ``otherwise`` takes the line of one that the journal does not take, or of every one without a socket."""

    def __init__(self, sender: socket.socket | None, otherwise: Callable[[str], None]) -> None:
        self._sender, self._otherwise = sender, otherwise

    def send(self, entry: Entry) -> None:
        """Send one message. Raises nothing: what cannot be sent becomes a line."""
        if self._sender is not None:
            with suppress(OSError):
                self._sender.send(encode(entry))
                return
        self._otherwise(entry.line)
