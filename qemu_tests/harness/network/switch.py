"""The thread that carries the frames of one network: a switch that learns where the MAC addresses are."""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from qemu_tests.errors import NetworkError
from qemu_tests.harness.network.conditions import Conditions
from qemu_tests.harness.network.port import Counters, Port

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from qemu_tests.harness.network.capture import Capture
    from qemu_tests.harness.network.station import Station

T = TypeVar("T")
UNDERWAY_BYTES = 8 << 20
"""What a delay holds back at most; more is dropped."""
_ADDRESSES = 4096
"""How many MAC addresses are remembered: a guest can make up as many as it likes."""
_GROUP_BIT = 1
"""Of the first byte of a MAC address: broadcast and multicast have it."""
_SOON = 10.0
"""Seconds in which the thread, which never waits, does what it is told."""


@dataclass(frozen=True)
class _Underway:
    """A frame that a delay holds back; None is the switch itself. ``since`` is a time of the loop."""

    since: float
    sender: str | None
    receiver: str | None
    frame: bytes


class Switch:
    """Everything but the public methods runs in the thread. The thread ends at ``stop``, and dies with its process."""

    def __init__(self, name: str, station: Station, capture: Capture | None = None) -> None:
        self._name, self._station, self._capture = name, station, capture
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._failed)
        self._ports: dict[str, Port] = {}
        self._learned: dict[bytes, str] = {}
        self._underway: deque[_Underway] = deque()
        self._underway_bytes = 0
        self._next: asyncio.TimerHandle | None = None
        self._flush: asyncio.Handle | None = None
        self._chance = random.Random(0)  # noqa: S311 (which frames are lost is to repeat)
        self.conditions = Conditions()
        """The present faults. Set by ``change``."""
        self.counters: dict[str, Counters] = {}
        """Of each machine that was ever plugged in; the values are replaced as a whole."""
        self.problem: NetworkError | None = None
        """The first thing that went wrong."""
        self._thread = threading.Thread(target=self._run, name=f"switch of {name}", daemon=True)
        self._thread.start()

    # From other threads.

    def attach(self, machine: str, sock: socket.socket) -> Port:
        """Plug a cable in; the socket is the switch's from now on. Raises NetworkError when the machine has one already."""
        return self._call(self._attach, machine, sock)

    def detach(self, machine: str, port: Port) -> None:
        """Pull that cable out. Harmless when it is not plugged in any more, or when the switch has ended."""
        if self._thread.is_alive():
            self._call(self._detach, machine, port)

    def change(self, change: Callable[[Conditions], Conditions], seed: int | None = None) -> None:
        """Set the faults to what ``change`` makes of the present ones; ``seed`` begins a new series of losses.

        They hold for every frame from the return on, for those that are underway, too.
        """
        self._call(self._change, change, seed)

    def stop(self) -> None:
        """Pull all cables out and end the thread. Stopping twice is harmless."""
        with suppress(RuntimeError):  # the loop was closed before
            self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:  # it may be the one in which the last reference went away
            self._thread.join()

    def _call(self, function: Callable[..., T], *arguments: object) -> T:
        done: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            try:
                done.set_result(function(*arguments))
            except Exception as error:  # noqa: BLE001 (raised where it was asked for)
                done.set_exception(error)

        try:
            self._loop.call_soon_threadsafe(run)
            return done.result(_SOON)
        except (RuntimeError, TimeoutError) as error:
            raise NetworkError(self._name, "it is closed, so nothing can be plugged in or set") from error

    # In the thread.

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            for port in self._ports.values():
                port.close()
            if self._capture is not None:
                self._capture.close()
            self._loop.close()

    def _failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Called for what nobody expected, in place of a line in a log that nobody reads. The thread goes on."""
        self._note(f"the switch failed: {context.get('exception', context['message'])!r}")

    def _note(self, problem: str) -> None:
        self.problem = self.problem or NetworkError(self._name, problem)

    def _attach(self, machine: str, sock: socket.socket) -> Port:
        if machine in self._ports:
            sock.close()
            raise NetworkError(self._name, f"machine {machine!r} is plugged in already; unplug it first")
        self.counters.setdefault(machine, Counters())
        port = Port(self._loop, sock, partial(self._received, machine), partial(self._ended, machine))
        self._ports[machine] = port
        return port

    def _detach(self, machine: str, port: Port) -> None:
        port.close()
        if self._ports.get(machine) is port:
            self._remove(machine)

    def _ended(self, machine: str, problem: str | None) -> None:
        if problem is not None:
            self._note(f"machine {machine!r} sent {problem}; its port is shut")
        self._remove(machine)

    def _remove(self, machine: str) -> None:
        del self._ports[machine]
        self._learned = {mac: at for mac, at in self._learned.items() if at != machine}

    def _change(self, change: Callable[[Conditions], Conditions], seed: int | None) -> None:
        if seed is not None:
            self._chance.seed(seed)
        self.conditions = change(self.conditions)
        self._deliver_due()

    def _count(self, machine: str | None, **more: int) -> None:
        if machine is not None:
            self.counters[machine] = self.counters[machine].plus(**more)

    def _received(self, machine: str, frame: bytes) -> None:
        self._count(machine, received=1)
        source = frame[6:12]
        if not source[0] & _GROUP_BIT and source != self._station.mac:
            self._learned.pop(source, None)
            self._learned[source] = machine
            if len(self._learned) > _ADDRESSES:
                del self._learned[next(iter(self._learned))]
        self._carry(machine, frame)

    def _carry(self, sender: str | None, frame: bytes) -> None:
        self._write_down(frame)
        for receiver in self._receivers(sender, frame[:6]):
            self._forward(sender, receiver, frame)

    def _receivers(self, sender: str | None, target: bytes) -> list[str | None]:
        if target == self._station.mac:
            return [None]
        known = self._learned.get(target)
        if known is not None:
            return [known] if known != sender else []
        all_others: list[str | None] = [machine for machine in self._ports if machine != sender]
        return [*all_others, None] if target[0] & _GROUP_BIT and sender is not None else all_others

    def _forward(self, sender: str | None, receiver: str | None, frame: bytes) -> None:
        now = self.conditions
        if not now.reaches(sender, receiver):
            self._count(receiver or sender, cut=1)
        elif now.loss and self._chance.random() < now.loss:
            self._count(receiver or sender, lost=1)
        elif not now.delay and not self._underway:
            self._deliver(sender, receiver, frame)
        elif self._underway_bytes + len(frame) > UNDERWAY_BYTES:
            self._count(receiver or sender, overflowed=1)
        else:
            self._underway.append(_Underway(self._loop.time(), sender, receiver, frame))
            self._underway_bytes += len(frame)
            if self._next is None:
                self._deliver_due()

    def _deliver_due(self) -> None:
        """Deliver what has been underway for long enough, in order, and come again when the next one has."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        while self._underway:
            due = self._underway[0].since + self.conditions.delay
            if due > self._loop.time():
                self._next = self._loop.call_at(due, self._deliver_due)
                return
            late = self._underway.popleft()
            self._underway_bytes -= len(late.frame)
            self._deliver(late.sender, late.receiver, late.frame)

    def _deliver(self, sender: str | None, receiver: str | None, frame: bytes) -> None:
        if not self.conditions.reaches(sender, receiver):  # it was cut while the frame was underway
            self._count(receiver or sender, cut=1)
        elif receiver is None:
            answer = self._station.answer(frame)
            if answer is not None:
                self._carry(None, answer)
        elif receiver in self._ports:
            sent = self._ports[receiver].send(frame)
            self._count(receiver, **{"delivered" if sent else "overflowed": 1})

    def _write_down(self, frame: bytes) -> None:
        if self._capture is None:
            return
        try:
            if self._flush is None:
                self._flush = self._loop.call_soon(self._flush_capture)
            self._capture.write(frame)
        except OSError as error:
            self._give_up_capture(error)

    def _flush_capture(self) -> None:
        self._flush = None
        try:
            if self._capture is not None:
                self._capture.flush()
        except OSError as error:
            self._give_up_capture(error)

    def _give_up_capture(self, error: OSError) -> None:
        if self._capture is not None:
            self._note(f"cannot write {self._capture.path}: {error.strerror}; the rest is not in it")
        self._capture = None
