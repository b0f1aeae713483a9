"""The serial console: every byte goes to a log file, every line can be waited for."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from qemu_tests.errors import ConsoleClosedError, ConsoleTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

    from qemu_tests.harness.notifier import Notifier

TAIL_LINES = 15
"""How many lines an error shows."""
# ECMA-48 control sequences and two-byte escapes; firmware moves the cursor and clears the screen with them.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\^_78=>])")
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*)?\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class LineSplitter:
    """From the bytes of a terminal to its lines: escape sequences and control characters are left out."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> list[str]:
        """The lines that ``data`` completes."""
        text = self._rest + self._decoder.decode(data)
        unfinished = _UNFINISHED.search(text)
        held = unfinished.group() if unfinished else ""
        *lines, self._rest = _ESCAPE.sub("", text.removesuffix(held)).split("\n")
        self._rest += held
        return [_clean(line) for line in lines]

    @property
    def partial(self) -> str:
        """The line that has begun but not ended."""
        return _clean(self._rest)


def _clean(line: str) -> str:
    return _CONTROL.sub("", _ESCAPE.sub("", line)).rstrip()


class Console:
    """What a machine wrote on its serial port. One log may take the consoles of several runs, one after the other."""

    def __init__(self, log: Path, notifier: Notifier) -> None:
        """``log`` is appended to."""
        self.log = log
        self._file = log.open("ab", buffering=0)
        self._notifier = notifier
        self._splitter = LineSplitter()
        self._lines: list[str] = []
        self._seen = 0
        self.ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def feed(self, data: bytes) -> None:
        """Take what arrived. Called by the reader."""
        self._file.write(data)
        self._lines += self._splitter.feed(data)
        self._notifier.ring()

    def end(self) -> None:
        """There will be no more. Called by the reader."""
        if self._splitter.partial:
            self._lines += self._splitter.feed(b"\n")
        self.ended = True
        self._notifier.ring()

    def annotate(self, text: str) -> None:
        """Write a line of the harness into the log, for whoever reads it by eye; nothing waits for it."""
        self._file.write(f"\r\n======== {text} ========\r\n".encode())

    def close(self) -> None:
        """Close the log."""
        self._file.close()

    @property
    def lines(self) -> list[str]:
        """All complete lines so far."""
        return self._lines.copy()

    @property
    def tail(self) -> list[str]:
        """The last lines that are not empty, the unfinished one included."""
        return [line for line in (*self._lines, self._splitter.partial) if line][-TAIL_LINES:]

    def mark(self) -> int:
        """The number of lines so far, as a starting point for ``find_all``."""
        return len(self._lines)

    def find_all(self, pattern: str, since: int = 0) -> list[re.Match[str]]:
        """The matches in all complete lines after the first ``since``."""
        return [match for line in self._lines[since:] if (match := re.search(pattern, line))]

    def wait_for(self, pattern: str, seconds: float, interrupt: Callable[[], object] = lambda: None) -> re.Match[str]:
        """The first complete line after the last match that ``pattern`` (a regular expression) is found in.

        Raises ConsoleTimeoutError, ConsoleClosedError when the console ends, and whatever ``interrupt`` raises, which is
        called at all news of the machine.
        """
        expression = re.compile(pattern)

        def look() -> re.Match[str] | None:
            ended = self.ended
            while self._seen < len(self._lines):
                line = self._lines[self._seen]
                self._seen += 1
                if match := expression.search(line):
                    return match
            if ended:
                raise ConsoleClosedError(pattern, self.tail, self.log)
            interrupt()
            return None

        found = self._notifier.wait(look, seconds)
        if found is None:
            raise ConsoleTimeoutError(pattern, seconds, self.tail, self.log)
        return found
