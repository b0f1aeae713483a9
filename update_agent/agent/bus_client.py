"""The other side of the D-Bus interface of update_engine: one call, or its signals."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from update_agent.agent.update_engine import INTERFACE, NAME, PATH, SIGNATURE, Status
from update_agent.errors import UpdateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

DEADLINE = 25.0
"""Seconds for an answer, as libdbus has it."""
_NO_OWNER = "org.freedesktop.DBus.Error.NameHasNoOwner"


class NoBusError(UpdateError):
    """There is no bus, or it does not let us in."""


class NoServiceError(UpdateError):
    """Nobody has the name on the bus; ``name`` is that of the error on the bus."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class CallError(UpdateError):
    """The service answered with an error, or not at all; ``name`` is that of the error on the bus."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class BusClient:
    """Calls of the service on the bus at ``address``, by default the system bus. Each is a connection of its own."""

    def __init__(self, address: str | None = None, deadline: float = DEADLINE) -> None:
        self._address, self._deadline = address, deadline

    def require_service(self) -> None:
        """Raises NoBusError and NoServiceError."""
        self._with_service(lambda _: asyncio.sleep(0))

    def attempt_update(self) -> None:
        """Ask for a check, and an update. Raises NoBusError, NoServiceError and CallError, as all of these."""
        self._call("AttemptUpdate", "")

    def reset_status(self) -> None:
        """Make nothing of an update that waits for its reboot."""
        self._call("ResetStatus", "")

    def get_status(self) -> Status:
        """The status."""
        return Status(*self._call("GetStatus", SIGNATURE))

    def watch(self, seen: Callable[[Status], None]) -> None:
        """Call ``seen`` for every signal, until the bus goes away."""

        async def listen(bus: MessageBus) -> None:
            rule = f"type='signal',sender='{NAME}',path='{PATH}',interface='{INTERFACE}',member='StatusUpdate'"

            def heard(message: Message) -> None:
                if (message.interface, message.member, message.signature) == (INTERFACE, "StatusUpdate", SIGNATURE):
                    seen(Status(*message.body))

            bus.add_message_handler(heard)
            await self._ask(bus, "AddMatch", "s", [rule])
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

        self._with_service(listen)

    def _call(self, member: str, signature: str) -> list[Any]:
        async def call(bus: MessageBus) -> list[Any]:
            from dbus_fast import Message

            message = Message(destination=NAME, path=PATH, interface=INTERFACE, member=member)
            answer = await self._answer(bus, message)
            if answer.signature != signature:
                raise CallError("org.freedesktop.DBus.Error.InvalidSignature", f"the answer is '{answer.signature}'")
            return list(answer.body)

        found: list[Any] = self._with_service(call)
        return found

    def _with_service(self, work: Callable[[MessageBus], Any]) -> Any:  # noqa: ANN401
        async def run() -> Any:  # noqa: ANN401
            bus = await self._connect()
            try:
                try:
                    await self._ask(bus, "GetNameOwner", "s", [NAME])
                except CallError as error:
                    text = (
                        f"Could not get owner of name '{NAME}': no such name" if error.name == _NO_OWNER else str(error)
                    )
                    raise NoServiceError(error.name, text) from error
                return await work(bus)
            finally:
                bus.disconnect()

        return asyncio.run(run())

    async def _connect(self) -> MessageBus:
        try:
            from dbus_fast import BusType
            from dbus_fast.aio import MessageBus

            bus = MessageBus(bus_address=self._address, bus_type=BusType.SYSTEM)
            await asyncio.wait_for(bus.connect(), self._deadline)
        except Exception as error:
            raise NoBusError(str(error) or type(error).__name__) from error
        return bus

    async def _ask(self, bus: MessageBus, member: str, signature: str, body: list[Any]) -> Message:
        """Ask the bus itself."""
        from dbus_fast import Message

        name = "org.freedesktop.DBus"
        path = "/org/freedesktop/DBus"
        message = Message(destination=name, path=path, interface=name, member=member, signature=signature, body=body)
        return await self._answer(bus, message)

    async def _answer(self, bus: MessageBus, message: Message) -> Message:
        from dbus_fast import MessageType

        try:
            answer = await asyncio.wait_for(bus.call(message), self._deadline)
        except TimeoutError as error:
            text = "Did not receive a reply within its time"
            raise CallError("org.freedesktop.DBus.Error.NoReply", text) from error
        except (EOFError, OSError) as error:
            raise CallError("org.freedesktop.DBus.Error.Disconnected", "Connection is closed") from error
        if answer is None:
            raise CallError("org.freedesktop.DBus.Error.NoReply", "there was no reply")
        if answer.message_type is MessageType.ERROR:
            raise CallError(answer.error_name or "", str(answer.body[0]) if answer.body else "")
        return answer
