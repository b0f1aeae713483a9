"""The D-Bus service of update_engine: com.coreos.update1, for locksmith, operators of Kubernetes, and ``update_engine_client``.

It lives in a thread of its own. Without a bus, or without dbus-fast, the agent does all the rest: that is told once, and tried again
from time to time.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from update_agent.agent.update_engine import NAME, PATH, status_of
from update_agent.errors import UpdateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbus_fast.aio import MessageBus

    from update_agent.agent.manager import Manager
    from update_agent.agent.update_engine import Status
    from update_agent.agent.view import View

RETRY = 60.0
"""Seconds from one try to reach the bus to the next."""
_DEADLINE = 25.0


class BusError(UpdateError):
    """The bus is there, but not for us: the name belongs to another program, or the policy forbids it. Nothing was changed."""


class Bus:
    """The service. ``attempt``, ``reset`` and ``status`` answer the calls, in the thread of the bus, and are quick.

    The first two raise an UpdateError where that cannot be done now; the caller gets its text. ``tell`` takes a line for people.
    ``address`` is that of the bus; by default the system bus.
    """

    def __init__(
        self,
        attempt: Callable[[], None],
        reset: Callable[[], None],
        status: Callable[[], View],
        tell: Callable[[str], None],
        *,
        address: str | None = None,
        retry: float = RETRY,
    ) -> None:
        self._attempt, self._reset, self._status, self._tell = attempt, reset, status, tell
        self._address, self._retry = address, retry
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="bus", daemon=True)
        self._bus: MessageBus | None = None
        self._manager: Manager | None = None
        self._tried = threading.Event()
        self._told = ""

    def start(self) -> bool:
        """Start the thread; whether the service is on the bus. Returns after the first try."""
        self._thread.start()
        self._tried.wait(_DEADLINE)
        return self._bus is not None

    def publish(self, view: View) -> None:
        """Send the signal StatusUpdate. From any thread, at any time; nothing happens without a bus."""
        self._soon(lambda: self._signal(status_of(view)))

    def stop(self) -> None:
        """Leave the bus, and end the thread. What was published before is sent. It cannot be started again."""
        if self._thread.ident is None:
            self._loop.close()
            return
        self._soon(self._stopping.set)
        self._thread.join(_DEADLINE)

    def _soon(self, what: Callable[[], object]) -> None:
        if self._thread.is_alive():
            try:
                self._loop.call_soon_threadsafe(what)
            except RuntimeError:
                # The loop ended since the thread was seen alive.
                return

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve_for_ever())
        finally:
            self._tried.set()
            self._loop.close()

    async def _serve_for_ever(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._serve()
            except ImportError:
                self._say("the library dbus-fast is not installed")
                return
            except Exception as error:  # noqa: BLE001  (whatever is wrong with a bus, updates go on)
                self._say(str(error) or type(error).__name__)
            self._bus = None
            self._tried.set()
            await self._sleep()

    async def _serve(self) -> None:
        """From the connection to its end. Raises BusError, OSError, and what dbus-fast raises."""
        bus = await self._connect()
        try:
            self._bus, self._told = bus, ""
            self._tried.set()
            ended = asyncio.ensure_future(bus.wait_for_disconnect())  # type: ignore[no-untyped-call]
            asked = asyncio.ensure_future(self._stopping.wait())
            await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if self._stopping.is_set():
                ended.cancel()
                # An answer to this comes after all that was sent before it.
                await asyncio.wait_for(bus.release_name(NAME), _DEADLINE)
            else:
                await ended
                raise BusError("the connection ended")
        finally:
            self._bus = None
            bus.disconnect()

    async def _connect(self) -> MessageBus:
        from dbus_fast import BusType, RequestNameReply
        from dbus_fast.aio import MessageBus
        from dbus_fast.constants import NameFlag

        from update_agent.agent.manager import Manager

        bus = MessageBus(bus_address=self._address, bus_type=BusType.SYSTEM)
        await asyncio.wait_for(bus.connect(), _DEADLINE)
        try:
            manager = Manager(self._attempt, self._reset, lambda: status_of(self._status()))
            bus.export(PATH, manager)
            got = await asyncio.wait_for(bus.request_name(NAME, NameFlag.DO_NOT_QUEUE), _DEADLINE)
            if got is not RequestNameReply.PRIMARY_OWNER:
                raise BusError(f"another program has the name {NAME}")
            self._manager = manager
        except BaseException:
            bus.disconnect()
            raise
        return bus

    async def _sleep(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), self._retry)
        except TimeoutError:
            return

    def _signal(self, status: Status) -> None:
        if self._bus is not None and self._bus.connected and self._manager is not None:
            self._manager.status_update(status)

    def _say(self, problem: str) -> None:
        if problem != self._told:
            self._tell(f"no D-Bus interface: {problem}; updates go on without it")
        self._told = problem
