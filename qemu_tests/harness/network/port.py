"""One socket of the switch with a machine behind it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from qemu_tests.harness.network.framing import FrameStream, FramingError, framed

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

QUEUE_BYTES = 1 << 20
"""What waits for a machine that does not read; more is dropped. The kernel keeps some 200 KiB beside."""
_CHUNK = 1 << 18
_FRAMES_A_CALL = 64


@dataclass(frozen=True)
class Counters:
    """Frames of one machine.

    ``received``: what it sent to the switch. ``delivered``: what was handed to it or waits in its queue. Not handed to it,
    nor, of what it sent, to the services of the switch: ``cut`` because of a cut or a partition, ``lost`` by the set loss,
    ``overflowed`` because it did not read, or because a delay held too much back.
    """

    received: int = 0
    delivered: int = 0
    cut: int = 0
    lost: int = 0
    overflowed: int = 0

    def plus(self, **more: int) -> Counters:
        """With these added."""
        return replace(self, **{name: getattr(self, name) + number for name, number in more.items()})


class Port:
    """Reads frames and calls ``on_frame``; sends without ever waiting. All in the thread of the loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        on_frame: Callable[[bytes], None],
        on_end: Callable[[str | None], None],
    ) -> None:
        """The socket is the port's from now on. ``on_end`` is called once when the other end is gone, with what was wrong."""
        sock.setblocking(False)
        self._loop, self._sock, self._on_frame, self._on_end = loop, sock, on_frame, on_end
        self._stream = FrameStream()
        self._waiting: deque[memoryview] = deque()
        self._waiting_bytes = 0
        self._closed = False
        loop.add_reader(sock, self._read)

    def send(self, frame: bytes) -> bool:
        """Hand a frame to the machine, now or when it reads again. False: its queue is full, the frame was dropped."""
        data = memoryview(framed(frame))
        if self._waiting_bytes + len(data) > QUEUE_BYTES:
            return False
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if len(self._waiting) == 1:
            self._write()
        return True

    def close(self) -> None:
        """Pull the cable out. Closing twice is harmless."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()
            self._waiting.clear()

    def _end(self, problem: str | None) -> None:
        self._on_end(problem)  # first: when the machine sees its end, the reason is known
        self.close()

    def _read(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""  # a power cut
        if not data:
            self._end(None)
            return
        try:
            for frame in self._stream.feed(data):
                self._on_frame(frame)
        except FramingError as error:
            self._end(str(error))

    def _write(self) -> None:
        try:
            while self._waiting:
                self._sent(self._sock.sendmsg(list(islice(self._waiting, _FRAMES_A_CALL))))
        except BlockingIOError:
            self._loop.add_writer(self._sock, self._write)
            return
        except ConnectionError:
            # A power cut: the reader of the port sees it, too, and ends the port when all that came before is read.
            self._waiting.clear()
            self._waiting_bytes = 0
        self._loop.remove_writer(self._sock)

    def _sent(self, count: int) -> None:
        self._waiting_bytes -= count
        while count:
            first = self._waiting[0]
            if count < len(first):
                self._waiting[0] = first[count:]
                return
            count -= len(first)
            self._waiting.popleft()
