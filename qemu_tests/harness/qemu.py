"""A QEMU process with everything that is connected to it, from power on to power off. The guest may boot many times."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.errors import ConsoleLogError, DiskServerError, MachineDiedError, QmpClosedError
from qemu_tests.harness.console import Console
from qemu_tests.harness.control import ControlPort
from qemu_tests.harness.disk.nbd import NbdServer
from qemu_tests.harness.notifier import Notifier
from qemu_tests.harness.process import Process
from qemu_tests.harness.qmp import Qmp
from qemu_tests.harness.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from qemu_tests.harness.disk.session import Session
    from qemu_tests.harness.hardware.wires import Wiring

QUIT_SECONDS = 30.0
_DYING_SECONDS = 2.0
HELD = ("monitor", "serial", "control")
"""The sockets by which the harness holds a machine."""


@dataclass(frozen=True)
class Start:
    """How a QEMU is started: ``argv``, and the descriptors in it, of ``wiring``. ``disks`` by the names of their sockets.

    ``stderr`` takes what QEMU says, ``log`` the console.
    """

    argv: Sequence[str]
    wiring: Wiring
    disks: Mapping[str, Session]
    stderr: Path
    log: Path


class Qemu:
    """A running QEMU, held before its first instruction; ``go`` lets it run."""

    def __init__(self, name: str, start: Start) -> None:
        """Raises MissingToolError and OSError; nothing is left behind then."""
        self.name, self.notifier = name, Notifier()
        wiring = start.wiring
        self._process = Process(start.argv, start.stderr, tuple(wiring.descriptors.values()))
        wiring.started()
        self.disks = dict(start.disks)
        self._servers = [
            NbdServer(wiring.take(disk), session, self.notifier.ring) for disk, session in start.disks.items()
        ]
        self._reader = Reader(name)
        self.console = Console(start.log, self.notifier)
        self._serial, control = wiring.take("serial"), wiring.take("control")
        self.control = ControlPort(lambda data: self._reader.send(control, data, QUIT_SECONDS), self.notifier)
        self.qmp = Qmp(wiring.take("monitor"), self._reader, self.notifier)
        self._reader.watch(self._serial, self.console.feed, self.console.end)
        self._reader.watch(control, self.control.feed, self.control.end)
        self._reader.watch_end(self._process.pid, self.notifier.ring)
        self._closed = False

    def go(self) -> None:
        """Connect to the monitor and let the machine run. Raises MachineDiedError when QEMU refused to start."""
        try:
            self.qmp.connect()
            self.qmp.execute("cont")
        except QmpClosedError as error:
            if self._process.wait(QUIT_SECONDS):
                raise self.died() from error
            raise

    @property
    def pid(self) -> int:
        """The process id of QEMU."""
        return self._process.pid

    def died(self) -> MachineDiedError:
        """The error that says how the process ended."""
        console = self.console
        return MachineDiedError(
            self.name, self._process.ended or "ended", self._process.said, console.tail, console.log, console.bad_line
        )

    def check(self) -> None:
        """Raises MachineDiedError, and what went wrong on the host: with the console log, with the folder of the disks."""
        if self._process.ended is not None:
            raise self.died()
        if self.console.problem is not None:
            raise ConsoleLogError(self.name, self.console.log, self.console.problem, self.console.tail)
        for session in self.disks.values():
            if session.problem is not None:
                # A QEMU that dies hangs up on its disks a moment before it is gone.
                if isinstance(session.problem, DiskServerError) and self._process.wait(_DYING_SECONDS):
                    raise self.died()
                raise session.problem

    def check_end(self) -> None:
        """After the console has ended: wait for the process, and raise MachineDiedError."""
        if self._process.wait(QUIT_SECONDS):
            raise self.died()

    @property
    def frozen(self) -> bool:
        """Whether a disk carries out nothing any more."""
        return any(session.frozen for session in self.disks.values())

    def freeze(self) -> None:
        """The disks carry out nothing any more, as if the power had failed."""
        for session in self.disks.values():
            session.freeze()
        self.notifier.ring()

    def send_serial(self, data: bytes) -> None:
        """Type on the serial port, as it is."""
        self._reader.send(self._serial, data, QUIT_SECONDS)

    def reset(self) -> None:
        """From a boundary into the next boot."""
        self.qmp.execute("set-action", {"reboot": "reset"})
        before = len(self.qmp.events)
        self.qmp.execute("system_reset")
        self.qmp.wait_for_event("RESET", before, QUIT_SECONDS)
        self.qmp.execute("set-action", {"reboot": "shutdown"})
        self.qmp.execute("cont")

    def cut(self) -> None:
        """The power fails: the disks carry out nothing any more, then SIGKILL."""
        self.freeze()
        self._process.kill()
        self.close()

    def close(self) -> None:
        """End QEMU, kindly if it listens, and release everything. Closing twice is harmless."""
        if self._closed:
            return
        if self._process.ended is None and not self.frozen:
            self._quit()
        self._process.kill()
        self._closed = True
        self.qmp.close()
        for server in self._servers:
            server.close()
        self._reader.close()
        self.console.close()
        self.notifier.ring()

    def _quit(self) -> None:
        with suppress(QmpClosedError):  # it was faster than its answer
            self.qmp.execute("quit")
        self._process.wait(QUIT_SECONDS)
