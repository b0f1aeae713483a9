"""QEMU's monitor: a synchronous face of ``qemu.qmp``, with time-outs and events that can be looked back at."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu.qmp import ConnectError, ExecInterruptedError, ExecuteError, QMPClient, Runstate, StateError

from qemu_tests.errors import QmpClosedError, QmpCommandError, QmpTimeoutError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from qemu.qmp import Message

    from qemu_tests.harness.notifier import Notifier
    from qemu_tests.harness.reader import Reader

COMMAND_SECONDS = 30.0
"""How long QEMU may take to answer, generously: it answers in milliseconds unless the host is overloaded."""


@dataclass(frozen=True)
class Event:
    """An event of QEMU, such as SHUTDOWN, and its data."""

    name: str
    data: Mapping[str, object]


class Qmp:
    """A connection to a QEMU. Events are kept in ``events``, in order, from the first one on."""

    def __init__(self, sock: socket.socket, reader: Reader, notifier: Notifier) -> None:
        self._sock, self._reader, self._notifier = sock, reader, notifier
        self._client = QMPClient()
        # The filter sees every event. What it refuses is not kept a second time in the client, which would keep it for ever.
        self._client.events.event_filter = self._collect
        self._watcher: asyncio.Task[None] | None = None
        self.events: list[Event] = []
        self.ended = False

    def connect(self, seconds: float = COMMAND_SECONDS) -> None:
        """Exchange greetings. Raises QmpTimeoutError and QmpClosedError."""
        try:
            self._reader.call(self._connect(), seconds)
        except TimeoutError as error:
            raise QmpTimeoutError("the greeting", seconds) from error
        except (ConnectError, OSError) as error:
            raise QmpClosedError("the greeting", str(error)) from error

    async def _connect(self) -> None:
        await self._client.connect(self._sock)
        self._watcher = asyncio.create_task(self._watch())

    def _collect(self, message: Message) -> bool:
        data = message.get("data")
        self.events.append(Event(str(message["event"]), data if isinstance(data, dict) else {}))
        self._notifier.ring()
        return False

    async def _watch(self) -> None:
        # A listener never wakes when QEMU dies; the change of state does.
        while self._client.runstate == Runstate.RUNNING:
            await self._client.runstate_changed()
        self.ended = True
        self._notifier.ring()

    def execute(
        self, command: str, arguments: Mapping[str, object] | None = None, *, seconds: float = COMMAND_SECONDS
    ) -> object:
        """What QEMU returns. Raises QmpCommandError, QmpTimeoutError and QmpClosedError."""
        try:
            return self._reader.call(self._client.execute(command, arguments), seconds)
        except TimeoutError as error:
            raise QmpTimeoutError(command, seconds) from error
        except ExecuteError as error:
            raise QmpCommandError(command, str(error)) from error
        except (ExecInterruptedError, StateError) as error:
            raise QmpClosedError(command, str(error)) from error

    def hand_over(self, descriptor: int, name: str) -> None:
        """Give QEMU a file that is open here, under a name. Raises as ``execute``."""

        async def send() -> None:
            self._client.send_fd_scm(descriptor)

        self._reader.call(send(), COMMAND_SECONDS)
        self.execute("getfd", {"fdname": name})

    def wait_for_event(self, name: str, since: int = 0, seconds: float = COMMAND_SECONDS) -> Event:
        """The first event of this name after the first ``since``. Raises QmpTimeoutError and QmpClosedError."""

        def look() -> Event | None:
            found = next((event for event in self.events[since:] if event.name == name), None)
            if found is None and self.ended:
                raise QmpClosedError(f"the event {name}", "")
            return found

        found = self._notifier.wait(look, seconds)
        if found is None:
            raise QmpTimeoutError(f"the event {name}", seconds)
        return found

    def close(self, seconds: float = COMMAND_SECONDS) -> None:
        """Disconnect; QEMU goes on. Closing twice, or after QEMU's end, is harmless."""
        self._reader.call(self._disconnect(), seconds)

    async def _disconnect(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait([self._watcher])
            self._watcher = None
        try:
            await self._client.disconnect()
        except (EOFError, OSError):
            self.ended = True  # QEMU had hung up first
