"""The one background thread of a machine: an event loop that reads its sockets and runs its QMP connection."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import concurrent.futures
    import socket
    from collections.abc import Callable, Coroutine

T = TypeVar("T")
_CHUNK = 65536


class Reader:
    """An event loop in a thread. Use it as a context manager; leaving it ends the thread."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._watched: list[socket.socket] = []
        self._pidfds: list[int] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"reader of {name}", daemon=True)
        self._thread.start()

    def watch(self, sock: socket.socket, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        """Call ``on_data`` in the thread for what arrives on ``sock``, and ``on_end`` once when it has ended.

        ``sock`` is set non-blocking and closed when the reader is.
        """
        sock.setblocking(False)
        self._watched.append(sock)
        self._loop.call_soon_threadsafe(self._loop.add_reader, sock, self._receive, sock, on_data, on_end)

    def _receive(self, sock: socket.socket, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        try:
            data = sock.recv(_CHUNK)
        except ConnectionError:
            data = b""
        if data:
            on_data(data)
        else:
            self._loop.remove_reader(sock)
            on_end()

    def watch_end(self, pid: int, on_end: Callable[[], None]) -> None:
        """Call ``on_end`` in the thread once the child process ``pid`` has ended; it is not reaped."""
        fd = os.pidfd_open(pid)

        def ended() -> None:
            self._loop.remove_reader(fd)
            on_end()

        self._pidfds.append(fd)
        self._loop.call_soon_threadsafe(self._loop.add_reader, fd, ended)

    def send(self, sock: socket.socket, data: bytes, seconds: float) -> None:
        """Send all of ``data`` on a watched socket. Raises TimeoutError and ConnectionError."""
        self.call(self._loop.sock_sendall(sock, data), seconds)

    def call(self, coroutine: Coroutine[Any, Any, T], seconds: float) -> T:
        """Run a coroutine in the thread and return its result. Raises TimeoutError and what the coroutine raises."""

        async def limited() -> T:
            async with asyncio.timeout(seconds):
                return await coroutine

        future: concurrent.futures.Future[T] = asyncio.run_coroutine_threadsafe(limited(), self._loop)
        return future.result()

    def close(self) -> None:
        """Stop reading, end the thread, close the sockets that were watched. Closing twice is harmless."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for sock in self._watched:
            self._loop.remove_reader(sock)
            sock.close()
        for fd in self._pidfds:
            self._loop.remove_reader(fd)
            os.close(fd)
        self._loop.close()
