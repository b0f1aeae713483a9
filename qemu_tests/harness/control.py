r"""The control port: orders to the running slot, over the virtio-serial port ``org.slotboot.control``.

ASCII lines that end in LF. The guest says ``ready LABEL VERSION BOOT-ID`` when its slot is up and marked good, and answers
``run ID BASE64-OF-A-SHELL-COMMAND`` with ``done ID EXIT-CODE BASE64-OF-ITS-OUTPUT``.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.errors import ControlProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from qemu_tests.harness.notifier import Notifier

PORT_NAME, PORT_ID = "org.slotboot.control", "agent"
"""What the guest calls the port, and what QEMU does."""


@dataclass(frozen=True)
class Ready:
    """A slot that is up: its label, its version, and the identity of this boot."""

    label: str
    version: str
    boot_id: str


@dataclass(frozen=True)
class Result:
    """What became of an order: its exit code, and standard output and standard error as one text."""

    exit: int
    output: str


def parse_line(line: str) -> Ready | tuple[int, Result]:
    """A line of the guest: a Ready, or the number of an order and its Result. Raises ControlProtocolError."""
    match line.split(" "):
        case ["ready", label, version, boot_id] if label and version and boot_id:
            return Ready(label, version, boot_id)
        case ["done", number, code, *rest] if number.isdigit() and code.isdigit() and len(rest) < 2:
            try:
                output = base64.b64decode("".join(rest), validate=True)
            except binascii.Error as error:
                raise ControlProtocolError(line, f"base64 after the exit code ({error})") from error
            return int(number), Result(int(code), output.decode("utf-8", "replace"))
    raise ControlProtocolError(line, "'ready LABEL VERSION BOOT-ID' or 'done ID EXIT-CODE BASE64'")


class ControlPort:
    """The host's end of the port."""

    def __init__(self, write: Callable[[bytes], None], notifier: Notifier) -> None:
        """``write`` sends all that it is given to the guest."""
        self._write, self._notifier = write, notifier
        self._rest = b""
        self._ready_messages: list[Ready] = []
        self._results: dict[int, Result] = {}
        self._orders = 0
        self.problem: ControlProtocolError | None = None
        """The first line that was not understood; whoever waits raises it."""
        self.ended = self.greeted = False
        """Whether there will be no more, and whether a slot has greeted since the last ``forget``."""

    def feed(self, data: bytes) -> None:
        """Take what arrived. Called by the reader."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line.decode("ascii", "backslashreplace").strip("\r\0"))
        self._notifier.ring()

    def _take(self, line: str) -> None:
        try:
            message = parse_line(line)
        except ControlProtocolError as error:
            self.problem = self.problem or error
            return
        if isinstance(message, Ready):
            self._ready_messages.append(message)
            self.greeted = True
        else:
            self._results[message[0]] = message[1]

    def end(self) -> None:
        """There will be no more. Called by the reader."""
        self.ended = True
        self._notifier.ring()

    def forget(self) -> None:
        """The guest starts anew: what it left unfinished means nothing any more."""
        self._rest = b""
        self._ready_messages.clear()
        self.greeted = False

    def take_ready(self) -> Ready | None:
        """The next greeting that nobody has taken yet. Raises ControlProtocolError."""
        if self.problem is not None:
            raise self.problem
        return self._ready_messages.pop(0) if self._ready_messages else None

    def send(self, command: str) -> int:
        """Give the guest an order; the number under which ``take_result`` finds its result."""
        self._orders += 1
        encoded = base64.b64encode(command.encode()).decode("ascii")
        self._write(f"run {self._orders} {encoded}\n".encode("ascii"))
        return self._orders

    def take_result(self, number: int) -> Result | None:
        """The result of an order, once it has arrived. Raises ControlProtocolError."""
        if self.problem is not None:
            raise self.problem
        return self._results.pop(number, None)
