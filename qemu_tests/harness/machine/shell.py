"""What a person would do with a machine: give it commands, log in, copy files, press keys, and look at its display."""

from __future__ import annotations

import base64
import shlex
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from qemu_tests.errors import (
    AgentGoneError,
    CommandFailedError,
    HardwareError,
    NoShellError,
    UnitFailedError,
    WaitTimeoutError,
)
from qemu_tests.harness.machine.links import LinkedMachine
from qemu_tests.harness.machine.serial import SerialShell, key_bytes

if TYPE_CHECKING:
    from qemu_tests.harness.boot import Boot, Boundary
    from qemu_tests.harness.control import Result

ORDER_SECONDS = 180.0
"""Base deadline of a command. ``Deadlines`` stretches it."""
REBOOT_COMMAND, POWEROFF_COMMAND = "sync; reboot -f", "sync; poweroff -f"
_SERIAL_REBOOT, _SERIAL_POWEROFF = "reboot", "poweroff"
_LOOK_AGAIN = 0.5
"""Seconds between two looks at something in the guest that tells nobody when it changes."""
_PIECE = 48 << 10
"""Bytes of a file that one command carries."""


class Machine(LinkedMachine):
    """A machine as a test has it. Commands go over our agent where it has opened its port, else over the serial shell of ``login``."""

    _shell: SerialShell | None = None

    def login(self, user: str, password: str | None = None, seconds: float | None = None) -> None:
        """Log in on the serial console, once its prompt is there; ``run`` works from then on, in this boot.

        Raises LoginError at once when it is refused, and as ``Boot.line``.
        """
        shell = SerialShell(self._on("be logged in", "on"))
        shell.log_in(user, password, self._deadline(seconds))
        self._shell = shell

    def _serial_shell(self, boot: Boot) -> SerialShell | None:
        return self._shell if self._shell is not None and self._shell.boot is boot else None

    def run(self, command: str, seconds: float | None = None) -> Result:
        """Run a shell command in the guest: its exit code, and what it wrote on standard output and standard error.

        Raises NoShellError at once when nobody is there to run it, AgentGoneError when the agent ends first, and as ``Boot.until``.
        """
        boot = self._on("take an order", "on")
        limit = self._deadline(seconds, ORDER_SECONDS)
        if boot.agent:
            return self._run_by_agent(boot, command, limit)
        if (shell := self._serial_shell(boot)) is not None:
            return shell.run(command, limit)
        boot.check("an order")
        raise NoShellError(self.name)

    def _run_by_agent(self, boot: Boot, command: str, seconds: float) -> Result:
        console, control, number = boot.qemu.console, boot.qemu.control, self._send(boot, command)

        def look() -> Result | None:
            there = boot.agent
            found = control.take_result(number)
            if found is None and not there:
                boot.check(f"end of the order {command!r}")
                raise AgentGoneError(self.name, command, console.tail, console.log)
            return found

        return boot.until(f"end of the order {command!r}", look, seconds)

    def _send(self, boot: Boot, command: str) -> int:
        boot.check("an order")
        return boot.qemu.control.send(command)

    def order(self, command: str) -> None:
        """Give the guest a shell command and do not wait for its end. Raises as ``run``."""
        boot = self._on("take an order", "on")
        if boot.agent:
            self._send(boot, command)
        elif (shell := self._serial_shell(boot)) is not None:
            shell.type(f"{command}\r")
        else:
            boot.check("an order")
            raise NoShellError(self.name)

    def _kindly(self, by_agent: str, by_shell: str) -> str:
        return by_agent if self._on("take an order", "on").agent else by_shell

    def reboot(self, seconds: float | None = None) -> Boundary:
        """Order a reboot. The machine is held at the boundary; ``resume`` boots it."""
        self.order(self._kindly(REBOOT_COMMAND, _SERIAL_REBOOT))
        return self.wait_for_boundary(seconds)

    def power_off(self, seconds: float | None = None) -> None:
        """Shut the guest down and switch off. A machine that is held is just switched off.

        Where nobody takes a command the power button is pressed.
        """
        boot = self._on("be switched off")
        if self.state == "on":
            if boot.agent or self._serial_shell(boot) is not None:
                self.order(self._kindly(POWEROFF_COMMAND, _SERIAL_POWEROFF))
            else:
                self.power_button()
            self.wait_for_boundary(seconds)
        self.close()

    def type(self, text: str, *keys: str) -> None:
        """Type on the serial console: the text, then keys such as ``enter``, ``tab``, ``ctrl-c``. Raises ValueError for other keys."""
        self.type_bytes(text.encode() + b"".join(key_bytes(key) for key in keys))

    def type_bytes(self, data: bytes) -> None:
        """Type on the serial console what a terminal sent. Raises as ``Boot.check``."""
        boot = self._on("be typed on", "on")
        boot.check("somebody who types")
        boot.qemu.send_serial(data)

    def type_line(self, text: str) -> None:
        """Type on the serial console, and end the line: for a shell that no slot has started."""
        self.type(f"{text}\n")

    def send_key(self, keys: str) -> None:
        """Press keys at once on the keyboard of the display, in QEMU's names: ``ret``, ``ctrl-alt-delete``. Raises QmpCommandError."""
        pressed = [{"type": "qcode", "data": key} for key in keys.split("-")]
        self._on("have a key pressed", "on").qemu.qmp.execute("send-key", {"keys": pressed})

    def screenshot(self) -> bytes:
        """What the display shows, as a PNG. Raises HardwareError for a machine without one."""
        boot = self._on("show its display")
        if not self.hardware.display:
            raise HardwareError(self.name, "it has no display; give it one: Hardware(display=True)")
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            picture = Path(folder, "display.png")
            boot.qemu.qmp.execute("screendump", {"filename": str(picture), "format": "png"})
            return picture.read_bytes()

    def copy_in(self, source: Path | str, target: str) -> None:
        """Copy a file of the host into the guest; it appears under its name when it is whole. Modes and owners are not copied.

        Raises OSError, CommandFailedError and as ``run``.
        """
        data, part = Path(source).read_bytes(), shlex.quote(f"{target}.part")
        self._must(f"copying to {target}", f": > {part}")
        for at in range(0, len(data), _PIECE):
            piece = base64.b64encode(data[at : at + _PIECE]).decode()
            self._must(f"copying to {target}", f"printf %s {piece} | base64 -d >> {part}")
        self._must(f"copying to {target}", f"test $(wc -c < {part}) = {len(data)} && mv {part} {shlex.quote(target)}")

    def copy_out(self, source: str, target: Path | str) -> None:
        """Copy a file of the guest to the host. Raises OSError, CommandFailedError and as ``run``."""
        encoded = self._must(f"copying {source}", f"base64 < {shlex.quote(source)}")
        Path(target).write_bytes(base64.b64decode("".join(encoded.split()), validate=True))

    def _must(self, doing: str, command: str) -> str:
        result = self.run(command)
        if result.exit != 0:
            raise CommandFailedError(self.name, doing, result.exit, result.output)
        return result.output

    def wait_until(self, command: str, seconds: float | None = None) -> Result:
        """Run a command again and again until it succeeds; what it said then. Raises WaitTimeoutError and as ``run``."""
        limit = self._deadline(seconds, ORDER_SECONDS)
        boot = self._on("take an order", "on")
        deadline = time.monotonic() + limit
        while (result := self.run(command)).exit != 0:
            if time.monotonic() >= deadline:
                said = result.output.strip().splitlines()
                wanted = f"success of {command!r} (last: exit {result.exit}{f', {said[-1]}' if said else ''})"
                raise WaitTimeoutError(self.name, wanted, limit, boot.qemu.console.tail, self.log, "")
            boot.pause(_LOOK_AGAIN)
        return result

    def wait_for_file(self, path: str, seconds: float | None = None) -> None:
        """Wait until a file is there. Raises as ``wait_until``."""
        self.wait_until(f"test -e {shlex.quote(path)}", seconds)

    def wait_for_port(self, port: int, seconds: float | None = None) -> None:
        """Wait until something in the guest listens on a TCP port. Raises as ``wait_until``."""
        # Of /proc, so that the guest needs no tool: local address and port in hex, remote one, and 0A for listening.
        self.wait_until(
            f"grep -qsE '^ *[0-9]+: [0-9A-F]+:{port:04X} [0-9A-F:]+ 0A ' /proc/net/tcp /proc/net/tcp6", seconds
        )

    def wait_for_unit(self, unit: str, seconds: float | None = None) -> None:
        """Wait until a unit of systemd is active. Raises UnitFailedError at once when it failed, and as ``wait_until``."""
        name = shlex.quote(unit)
        look = f"systemctl is-active -q {name} || systemctl is-failed -q {name}"
        self.wait_until(look, seconds)
        if self.run(f"systemctl is-failed -q {name}").exit == 0:
            raise UnitFailedError(self.name, unit, self.run(f"systemctl status -n 5 --no-pager {name}").output)
