"""One boot of a machine, from power or reset to the next boundary: everything that waits belongs to one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.errors import (
    ConsoleClosedError,
    ConsoleTimeoutError,
    GuestFailedError,
    UnexpectedBoundaryError,
    WaitTimeoutError,
)
from qemu_tests.harness.control import PORT_ID

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from qemu_tests.harness.qemu import Qemu

    T = TypeVar("T")

_KINDS = {"guest-reset": "reboot", "guest-shutdown": "poweroff", "guest-panic": "panic"}


@dataclass(frozen=True)
class Boundary:
    """The end of a boot, at which the machine is held: ``reboot``, ``poweroff``, or another reason in QEMU's words."""

    kind: str

    def __str__(self) -> str:
        return {"reboot": "the guest rebooted", "poweroff": "the guest switched itself off"}.get(
            self.kind, f"the guest ended ({self.kind})"
        )


class Boot:
    """Made just before the guest runs. Only what comes from then on ends a wait, and what says that there is nothing to wait for."""

    def __init__(self, qemu: Qemu, *, agent: bool = False) -> None:
        """``agent``: whether it has opened its port already, in a machine that goes on from a frozen state."""
        self.qemu, self._agent = qemu, agent
        self._since = len(qemu.qmp.events)
        qemu.console.begin_boot()
        qemu.control.forget()

    @property
    def boundary(self) -> Boundary | None:
        """Where the machine is held, if it is."""
        for event in self.qemu.qmp.events[self._since :]:
            if event.name == "SHUTDOWN":
                reason = str(event.data.get("reason"))
                return Boundary(_KINDS.get(reason, reason))
        return None

    @property
    def agent(self) -> bool:
        """Whether something in the guest has the control port open."""
        for event in reversed(self.qemu.qmp.events[self._since :]):
            if event.name == "VSERPORT_CHANGE" and event.data.get("id") == PORT_ID:
                return bool(event.data.get("open"))
        # A greeting may have been faster than the news of the port.
        return self._agent or self.qemu.control.greeted

    def check(self, wanted: str) -> None:
        """Raises what makes it pointless to wait for ``wanted``.

        GuestFailedError (a panic, an oops, an emergency shell), MachineDiedError, UnexpectedBoundaryError, ConsoleLogError,
        DiskFolderError.
        """
        qemu, console = self.qemu, self.qemu.console
        qemu.check()
        if bad := console.take_bad_line():
            raise GuestFailedError(qemu.name, bad, wanted, console.tail, console.log)
        if self.boundary is not None:
            raise UnexpectedBoundaryError(qemu.name, str(self.boundary), wanted, console.tail, console.log)

    def until(self, wanted: str, look: Callable[[], T | None], seconds: float, *, across: bool = False) -> T:
        """Wait for ``look``. A boundary and a failure of the guest end the wait unless ``across``.

        Raises as ``check``, and WaitTimeoutError, which leads with the line in which the guest failed, if it did.
        """
        qemu = self.qemu

        def look_and_check() -> T | None:
            found = look()
            if found is None:
                qemu.check() if across else self.check(wanted)
            return found

        found = qemu.notifier.wait(look_and_check, seconds)
        if found is None:
            console = qemu.console
            raise WaitTimeoutError(qemu.name, wanted, seconds, console.tail, console.log, console.bad_line)
        return found

    def pause(self, seconds: float) -> None:
        """Let time pass before another look at something that tells nobody when it changes. Raises as ``check``."""

        def look() -> None:
            self.check("the next look")

        self.qemu.notifier.wait(look, seconds)

    def line(self, pattern: str, seconds: float, *, prompt: bool = False) -> re.Match[str]:
        """The next console line that ``pattern`` is found in; with ``prompt`` it need not have ended yet.

        Raises ConsoleTimeoutError, ConsoleClosedError and as ``check``.
        """
        expression, console = re.compile(pattern), self.qemu.console
        take = console.take_prompt if prompt else console.take_line

        def look() -> re.Match[str] | None:
            ended = console.ended
            found = take(expression)
            if found is None:
                self.check(f"a line with {pattern!r}")
                if ended:
                    self.qemu.check_end()
                    raise ConsoleClosedError(pattern, console.tail, console.log)
            return found

        found = self.qemu.notifier.wait(look, seconds)
        if found is None:
            raise ConsoleTimeoutError(pattern, seconds, console.tail, console.log)
        return found

    def end(self, seconds: float) -> Boundary:
        """Wait for the boundary. The machine is held there and its disks are flushed. Errors as ``until`` ``across``."""
        boundary = self.until("reboot", lambda: self.boundary, seconds, across=True)
        self.until("event STOP", self._stopped, seconds, across=True)
        # QEMU flushes the disks after it has sent the event, and answers after that.
        self.qemu.qmp.execute("query-status")
        return boundary

    def _stopped(self) -> bool | None:
        return any(event.name == "STOP" for event in self.qemu.qmp.events[self._since :]) or None
