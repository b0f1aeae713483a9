"""A shell on the serial console of any image: a command is typed, and its output and exit code are found between two marks."""

from __future__ import annotations

import base64
import itertools
import re
import time
from typing import TYPE_CHECKING

from qemu_tests.errors import ConsoleTimeoutError, LoginError
from qemu_tests.harness.control import Result

if TYPE_CHECKING:
    from qemu_tests.harness.boot import Boot

LOGIN, PASSWORD = r"(?<!Last )login: *$", r"[Pp]assword: *$"
_WRITTEN_OVER = r"(?<!Last )login: *\["
"""A message of the kernel behind the prompt."""
_REFUSED = r"Login incorrect|Authentication failure|Maximum number of tries"
_PIECE = 700
"""Characters of a command in one typed line: terminals take up to 4095, and some shells edit longer ones on the screen."""
_ASK_AGAIN = 5.0
"""Seconds after which a prompt is looked for, or a shell asked, once more: what was typed before it began may have been thrown away."""
_KEYS = {
    "enter": "\r",
    "esc": "\x1b",
    "tab": "\t",
    "backspace": "\x7f",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
}


def key_bytes(name: str) -> bytes:
    """What a key of a terminal sends: ``enter``, ``esc``, ``tab``, ``up``, ..., and ``ctrl-a`` to ``ctrl-z``. Raises ValueError."""
    if match := re.fullmatch(r"ctrl-([a-z])", name):
        return bytes([ord(match[1]) & 0x1F])
    if name not in _KEYS:
        raise ValueError(
            f"{name!r} is not a key of a terminal; expected ctrl-LETTER or one of {', '.join(sorted(_KEYS))}"
        )
    return _KEYS[name].encode()


class SerialShell:
    """Somebody who is logged in on the serial console in this boot. The shell must be a POSIX one, with ``base64`` beside."""

    def __init__(self, boot: Boot) -> None:
        self.boot = boot
        self._numbers = itertools.count(1)

    def log_in(self, user: str, password: str | None, seconds: float) -> None:
        """Answer the prompts. Raises LoginError when it is refused, and as ``Boot.line``."""
        boot = self.boot
        self._find_prompt(seconds)
        self.type(f"{user}\r")
        if password is not None:
            boot.line(PASSWORD, seconds, prompt=True)
            self.type(f"{password}\r")
        self._find_shell(user, seconds)

    def _find_prompt(self, seconds: float) -> None:
        """Where the kernel has written behind the prompt no new one comes by itself: somebody who sees that presses Enter."""
        deadline, console = time.monotonic() + seconds, self.boot.qemu.console
        while True:
            left = deadline - time.monotonic()
            try:
                self.boot.line(LOGIN, min(left, _ASK_AGAIN), prompt=True)
            except ConsoleTimeoutError as error:
                if left <= _ASK_AGAIN:
                    raise ConsoleTimeoutError(LOGIN, seconds, error.tail, console.log) from None
            else:
                return
            if console.find_all(_WRITTEN_OVER, console.boot_mark):
                self.type("\r")

    def _find_shell(self, user: str, seconds: float) -> None:
        """A prompt of a shell has no form to wait for: it is asked until it answers."""
        deadline, mark = time.monotonic() + seconds, "slotboot-logged-2"
        while True:
            # Without quotes: where its beginning is thrown away, the rest must not open one.
            self.type("echo slotboot-logged-$((1+1))\r")
            left = deadline - time.monotonic()
            try:
                match = self.boot.line(rf"{mark}|{_REFUSED}|{LOGIN}", min(left, _ASK_AGAIN), prompt=True)
            except ConsoleTimeoutError as error:
                if left <= _ASK_AGAIN:
                    raise ConsoleTimeoutError(mark, seconds, error.tail, self.boot.qemu.console.log) from None
                continue
            if mark not in match.group():
                console = self.boot.qemu.console
                raise LoginError(self.boot.qemu.name, user, match.string.strip(), console.tail, console.log)
            return

    def type(self, text: str) -> None:
        """Type it, as it is. Raises as ``Boot.check``."""
        self.boot.check("somebody who types")
        self.boot.qemu.send_serial(text.encode())

    def run(self, command: str, seconds: float) -> Result:
        """Run a shell command. What the kernel prints on the console meanwhile stands in the output too.

        Raises as ``Boot.line``.
        """
        number = next(self._numbers)
        start, end = f"slotboot-start-{number}", rf"slotboot-end-{number}-(\d+)\b"
        encoded = base64.b64encode(command.encode()).decode()
        console = self.boot.qemu.console
        self.type("_slotboot=\r")
        for at in range(0, len(encoded), _PIECE):
            self.type(f'_slotboot="${{_slotboot}}{encoded[at : at + _PIECE]}"\r')
        # The marks are put together by the shell, so that what is typed is not taken for them.
        self.type(
            f"printf '%s-%s\\n' slotboot start-{number}; "
            f'( eval "$(printf %s "$_slotboot" | base64 -d)" ) </dev/null; '
            f"printf '\\n%s-%s-%s\\n' slotboot end-{number} $?\r"
        )
        self.boot.line(rf"{start}\b", seconds)
        first = console.seen
        code = int(self.boot.line(end, seconds).group(1))
        lines = console.lines_between(first, console.seen - 1)
        # The end mark begins a line of its own, whatever the output ended in.
        return Result(code, "\n".join(lines))
