"""Progress of a build: a live line on a terminal, plain lines in a pipe, nothing in tests."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


class Progress(Protocol):
    """Is told what the build is doing."""

    def step(self, text: str) -> AbstractContextManager[None]:
        """A step of the build, as a context manager around the work; steps may be nested."""
        ...

    def note(self, text: str) -> None:
        """One line that is worth knowing."""
        ...


class SilentProgress:
    """Says nothing."""

    def step(self, text: str) -> AbstractContextManager[None]:
        """See ``Progress.step``."""
        self.note(text)
        return nullcontext()

    def note(self, text: str) -> None:
        """See ``Progress.note``."""


class PlainProgress:
    """One line when a step is done, with its seconds: for pipes and logs."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """See ``Progress.step``. A step that fails leaves no line: the error has its own."""
        begin = self._clock()
        yield
        self.note(f"{text} ({self._clock() - begin:.1f} s)")

    def note(self, text: str) -> None:
        """See ``Progress.note``."""
        self._stream.write(f"{text}\n")
        self._stream.flush()


class TerminalProgress(PlainProgress):
    """The lines of PlainProgress, and a spinner that shows the step that began last, of several threads. Needs ``rich``."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console

        super().__init__(stream, clock=clock)
        self._console = Console(file=stream, highlight=False, markup=False)
        self._status = self._console.status("")
        self._running: list[str] = []
        self._mutex = threading.RLock()

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """See ``Progress.step``."""
        with self._mutex:
            self._running.append(text)
            self._show()
        try:
            with super().step(text):
                yield
        finally:
            with self._mutex:
                self._running.remove(text)
                self._show()

    def note(self, text: str) -> None:
        """See ``Progress.note``."""
        self._console.print(text)

    def _show(self) -> None:
        if self._running:
            self._status.update(self._running[-1])
            self._status.start()
        else:
            self._status.stop()


def progress_for(stream: TextIO | None = None) -> Progress:
    """The progress that suits a stream (default: standard error): live where it is a terminal and rich is installed."""
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        return PlainProgress(stream)
    try:
        return TerminalProgress(stream)
    except ModuleNotFoundError:
        return PlainProgress(stream)
