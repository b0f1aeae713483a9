"""From power-on to power-off: one QEMU process with its console, monitor and control port. The guest may boot many times."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.errors import (
    ConsoleClosedError,
    MachineDiedError,
    QmpClosedError,
    UnexpectedBoundaryError,
    WaitTimeoutError,
)
from qemu_tests.harness.console import Console
from qemu_tests.harness.control import ControlPort
from qemu_tests.harness.disk.nbd import NbdServer
from qemu_tests.harness.hardware import Wires
from qemu_tests.harness.notifier import Notifier
from qemu_tests.harness.process import Process
from qemu_tests.harness.qmp import Qmp
from qemu_tests.harness.reader import Reader

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypeVar

    from qemu_tests.harness.control import Ready, Result
    from qemu_tests.harness.disk.session import Session
    from qemu_tests.harness.qmp import Event

    T = TypeVar("T")

QUIT_SECONDS = 30.0
_KINDS = {"guest-reset": "reboot", "guest-shutdown": "poweroff", "guest-panic": "panic"}


@dataclass(frozen=True)
class Boundary:
    """The end of a boot, at which the machine is held: ``reboot``, ``poweroff``, or another reason in QEMU's words."""

    kind: str

    def __str__(self) -> str:
        return {"reboot": "the guest rebooted", "poweroff": "the guest switched itself off"}.get(
            self.kind, f"the guest ended ({self.kind})"
        )


class PowerCycle:
    """A running QEMU. Everything that waits ends with an error when QEMU does, and shows the last console lines."""

    def __init__(
        self, name: str, command: Callable[[Wires], Sequence[str]], session: Session, stderr: Path, log: Path
    ) -> None:
        """Start the command for the given wires, held before the first instruction; ``power_on`` lets it go.

        ``session`` is the disk behind ``wires.disk``.
        """
        self.name = name
        self._notifier = Notifier()
        ours, theirs = zip(*(socket.socketpair() for _ in range(4)), strict=True)
        try:
            wires = Wires(*(sock.fileno() for sock in theirs))
            self._process = Process(command(wires), stderr, wires.descriptors)
        except BaseException:
            for sock in ours:
                sock.close()
            raise
        finally:
            for sock in theirs:
                sock.close()
        monitor, serial, control, disk = ours
        self._session = session
        self._server = NbdServer(disk, session, self._notifier.ring)
        self._reader = Reader(name)
        self.console = Console(log, self._notifier)
        self.control = ControlPort(lambda data: self._reader.send(control, data, QUIT_SECONDS), self._notifier)
        self.qmp = Qmp(monitor, self._reader, self._notifier)
        self._serial = serial
        self._reader.watch(serial, self.console.feed, self.console.end)
        self._reader.watch(control, self.control.feed, self.control.end)
        self._reader.watch_end(self._process.pid, self._notifier.ring)
        self._since = 0

    def power_on(self) -> None:
        """Connect to the monitor and let the machine run. Raises MachineDiedError when QEMU refused to start."""
        try:
            self.qmp.connect()
            self.qmp.execute("cont")
        except QmpClosedError as error:
            if self._process.wait(QUIT_SECONDS):
                raise self._died() from error
            raise

    def _died(self) -> MachineDiedError:
        console = self.console
        return MachineDiedError(
            self.name, self._process.ended or "ended", self._process.said, console.tail, console.log
        )

    @property
    def pid(self) -> int:
        """The process id of QEMU."""
        return self._process.pid

    @property
    def boundary(self) -> Boundary | None:
        """Where the machine is held, if it is."""
        for event in self.qmp.events[self._since :]:
            if event.name == "SHUTDOWN":
                reason = str(event.data.get("reason"))
                return Boundary(_KINDS.get(reason, reason))
        return None

    def _check_alive(self) -> None:
        if self._process.ended is not None:
            raise self._died()

    def _check_running(self, wanted: str) -> None:
        self._check_alive()
        if self.boundary is not None:
            raise UnexpectedBoundaryError(self.name, str(self.boundary), wanted, self.console.tail, self.console.log)

    def _wait(self, wanted: str, look: Callable[[], T | None], seconds: float, *, across: bool = False) -> T:
        """Wait for ``look``; a boot boundary ends the wait unless ``across``."""

        def look_and_check() -> T | None:
            found = look()
            if found is None:
                self._check_alive() if across else self._check_running(wanted)
            return found

        found = self._notifier.wait(look_and_check, seconds)
        if found is None:
            raise WaitTimeoutError(self.name, wanted, seconds, self.console.tail, self.console.log)
        return found

    def wait_for_line(self, pattern: str, seconds: float) -> re.Match[str]:
        """The next console line that ``pattern`` is found in. Errors as ``Console.wait_for``; a boundary ends it too."""
        try:
            return self.console.wait_for(pattern, seconds, lambda: self._check_running(f"a line with {pattern!r}"))
        except ConsoleClosedError as error:
            if self._process.wait(QUIT_SECONDS):
                raise self._died() from error
            raise

    def type_line(self, text: str) -> None:
        """Type on the serial console, and press Enter. Raises MachineDiedError and UnexpectedBoundaryError."""
        self._check_running("somebody who types")
        self._reader.send(self._serial, f"{text}\n".encode(), QUIT_SECONDS)

    def wait_until_ready(self, seconds: float) -> Ready:
        """The greeting of the slot. Raises WaitTimeoutError, UnexpectedBoundaryError, MachineDiedError."""
        return self._wait("greeting of the slot", self.control.take_ready, seconds)

    def order(self, command: str) -> int:
        """Give the guest an order and do not wait for it. Raises MachineDiedError and UnexpectedBoundaryError."""
        self._check_running("an order")
        return self.control.send(command)

    def run(self, command: str, seconds: float) -> Result:
        """Run a shell command in the guest. Errors as ``wait_until_ready``."""
        number = self.order(command)
        return self._wait(f"end of the order {command!r}", lambda: self.control.take_result(number), seconds)

    def wait_for_boundary(self, seconds: float) -> Boundary:
        """The next end of a boot. The machine is held there: its disk can be looked at. Errors as ``wait_until_ready``."""
        boundary = self._wait("reboot", lambda: self.boundary, seconds, across=True)
        self._wait_until_still(seconds)
        return boundary

    def wait_for_freeze(self, seconds: float) -> None:
        """Wait until a cut has struck: the disk answers no more."""
        self._wait("cut of the disk", lambda: self._session.frozen or None, seconds, across=True)

    def _wait_until_still(self, seconds: float) -> None:
        self._wait_for_event("STOP", self._since, seconds)
        # QEMU flushes the disks after it has sent the event, and answers after that.
        self.qmp.execute("query-status")

    def _wait_for_event(self, name: str, since: int, seconds: float) -> Event:
        def look() -> Event | None:
            return next((event for event in self.qmp.events[since:] if event.name == name), None)

        return self._wait(f"event {name}", look, seconds, across=True)

    def resume(self) -> None:
        """Let the machine boot again after a boundary."""
        self.qmp.execute("set-action", {"reboot": "reset"})
        before = len(self.qmp.events)
        self.qmp.execute("system_reset")
        self._wait_for_event("RESET", before, QUIT_SECONDS)
        self.qmp.execute("set-action", {"reboot": "shutdown"})
        self._since = len(self.qmp.events)
        self.control.forget()
        self.qmp.execute("cont")

    def cut(self) -> None:
        """The power fails: the disk carries out nothing any more, then SIGKILL."""
        self._session.freeze()
        self._process.kill()
        self.close()

    def close(self) -> None:
        """End QEMU, kindly if it listens, and release everything. Closing twice is harmless."""
        if self._process.ended is None and not self._session.frozen:
            self._quit()
        self._process.kill()
        if not self._closed:
            self._closed = True
            self.qmp.close()
            self._server.close()
            self._reader.close()
            self.console.close()

    _closed = False

    def _quit(self) -> None:
        try:
            self.qmp.execute("quit")
        except QmpClosedError:
            return  # it was faster than its answer
        self._process.wait(QUIT_SECONDS)
