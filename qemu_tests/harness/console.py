"""The serial console: every byte goes to a log file, every line can be waited for, and some say that a boot has failed."""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Self

    from qemu_tests.harness.notifier import Notifier

TAIL_LINES = 15
"""How many lines an error shows."""
FAILURES = (
    r"Kernel panic - not syncing",
    r"\bOops: [0-9a-f]{4}\b",
    r"\bkernel BUG at ",
    r"\bBUG: (?:kernel NULL pointer|unable to handle)",
    r"\bgeneral protection fault\b",
    r"\b(?:Entering|You are in) emergency mode\b",
    r"^\(initramfs\) ",
    r"^ALERT! .* does not exist\.\s+Dropping to a shell!",
    r"no slot could be booted; action: ",
)
"""Lines after which a boot comes to nothing: of the kernel, systemd, dracut, initramfs-tools and our selector."""
_RECENT = 200
# ECMA-48 control sequences and two-byte escapes; firmware moves the cursor and clears the screen with them.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\^_78=>])")
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*)?\Z")
_LONGEST, _SHOWN = 1 << 20, 4096
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class LineSplitter:
    """From the bytes of a terminal to its lines: escape sequences and control characters are left out.

    A line that does not end costs nothing again for each piece of it; one of more than a MiB is cut there.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pieces: list[str] = []
        self._held = 0

    def feed(self, data: bytes) -> list[str]:
        """The lines that ``data`` completes."""
        text = self._decoder.decode(data)
        *lines, rest = text.split("\n")
        if lines:
            lines[0] = "".join([*self._pieces, lines[0]])
            self._pieces.clear()
            self._held = 0
        self._pieces.append(rest)
        self._held += len(rest)
        if self._held > _LONGEST:
            lines.append("".join(self._pieces))
            self._pieces.clear()
            self._held = 0
        return [_clean(line) for line in lines]

    @property
    def partial(self) -> str:
        """The line that has begun but not ended, its last 4 KiB or so."""
        last: list[str] = []
        length = 0
        for piece in reversed(self._pieces):
            last.append(piece[-_SHOWN:])
            length += len(last[-1])
            if length >= _SHOWN:
                break
        return _clean(_UNFINISHED.sub("", "".join(reversed(last))[-_SHOWN:]))


def _clean(line: str) -> str:
    return _CONTROL.sub("", _ESCAPE.sub("", line)).rstrip()


class Console:
    """What a machine wrote on its serial port. One log may take the consoles of several runs, one after the other.

    Waits belong to a boot: only lines after the last ``begin_boot`` count.
    """

    def __init__(self, log: Path, notifier: Notifier, failures: Sequence[str] = FAILURES) -> None:
        """``log`` is appended to. ``failures``: expressions; a line that matches one ends what waits for another."""
        self.log = log
        self._file = log.open("ab", buffering=0)
        self._notifier = notifier
        self._splitter = LineSplitter()
        self._failing = re.compile("|".join(f"(?:{failure})" for failure in failures) or r"\Z\A")
        self._watched: list[tuple[re.Pattern[str], Callable[[], None]]] = []
        self._lines: list[str] = []
        self._bad: list[int] = []
        self._first = self._seen = self._prompted = 0
        self.ended = False
        self.problem: OSError | None = None
        """Why the log does not hold everything: the first error of a write, such as a full disk."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def feed(self, data: bytes) -> None:
        """Take what arrived. Called by the reader."""
        self._write(data)
        self._add(self._splitter.feed(data))
        self._notifier.ring()

    def _write(self, data: bytes) -> None:
        if self.problem is None:
            try:
                view = memoryview(data)
                while view:
                    view = view[self._file.write(view) :]
            except OSError as error:
                self.problem = error

    def _add(self, lines: list[str]) -> None:
        for line in lines:
            if self._failing.search(line):
                self._bad.append(len(self._lines))
            self._lines.append(line)
            for expression, struck in self._watched:
                if expression.search(line):
                    struck()

    def end(self) -> None:
        """There will be no more. Called by the reader."""
        if self._splitter.partial:
            self._add(self._splitter.feed(b"\n"))
        self.ended = True
        self._notifier.ring()

    def watch(self, pattern: str, struck: Callable[[], None]) -> None:
        """Call ``struck``, in the reader's thread, at each complete line that ``pattern`` is found in."""
        self._watched.append((re.compile(pattern), struck))

    def annotate(self, text: str) -> None:
        """Write a line of the harness into the log, for whoever reads it by eye; nothing waits for it."""
        self._write(f"\r\n======== {text} ========\r\n".encode())

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
        return [line for line in (*self._lines[-_RECENT:], self._splitter.partial) if line][-TAIL_LINES:]

    def mark(self) -> int:
        """The number of lines so far, as a starting point for ``find_all``."""
        return len(self._lines)

    def find_all(self, pattern: str, since: int = 0) -> list[re.Match[str]]:
        """The matches in all complete lines after the first ``since``."""
        return [match for line in self._lines[since:] if (match := re.search(pattern, line))]

    @property
    def boot_mark(self) -> int:
        """As ``mark``, at the beginning of this boot."""
        return self._first

    @property
    def seen(self) -> int:
        """The number of lines up to the last one that a wait has found."""
        return self._seen

    def lines_between(self, first: int, end: int) -> list[str]:
        """The complete lines from the index ``first`` up to, without it, ``end``."""
        return self._lines[first:end]

    def begin_boot(self) -> None:
        """Another boot: what stands here is no news of it."""
        if self._splitter.partial:
            self._add(self._splitter.feed(b"\n"))
        self._first = self._seen = self._prompted = len(self._lines)
        self._bad.clear()

    @property
    def bad_line(self) -> str:
        """The first line of this boot that says that it failed and that nobody has waited for; empty where there is none."""
        return next((self._lines[at] for at in self._bad if at >= self._seen), "")

    def take_bad_line(self) -> str:
        """As ``bad_line``, which is taken for seen then."""
        found = next((at for at in self._bad if at >= self._seen), None)
        if found is None:
            return ""
        self._bad.remove(found)
        return self._lines[found]

    def take_line(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        """The first complete line after the last match that ``expression`` is found in, up to the next bad line."""
        while self._seen < len(self._lines):
            if match := expression.search(self._lines[self._seen]):
                self._seen += 1
                return match
            if self._seen in self._bad:
                return None
            self._seen += 1
        return None

    def take_prompt(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        """As ``take_line``; the line that has begun but not ended counts too, once."""
        if found := self.take_line(expression):
            return found
        unfinished = len(self._lines)
        if self._bad and self._bad[-1] >= self._seen:
            return None
        if self._prompted <= unfinished and (match := expression.search(self._splitter.partial)):
            self._prompted = unfinished + 1
            self._seen = unfinished + 1
            return match
        return None
