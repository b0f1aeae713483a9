"""What does not give up: small files are asked for again whole, sources from the byte that is missing on."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from update_agent.transport.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from update_agent.transport.pace import Deadline, Sleep
    from update_agent.transport.source import Reader, Source

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Patience:
    """How often, and after which waits. Times are seconds.

    ``failures`` in a row end it; those before more than ``progress`` bytes, or a range to its end, do not count. The wait is a
    random part of ``first``, doubled with each further failure up to ``longest``: machines that failed together do not come
    back together. A server that asks for more (Retry-After) gets it, and up to a tenth on top; for more than ``most`` it is not
    waited for at all.
    """

    failures: int = 8
    progress: int = 64 << 10
    first: float = 1.0
    longest: float = 60.0
    most: float = 3600.0

    def wait(self, failed: int, after: float | None, chance: Callable[[], float]) -> float:
        """Seconds to wait after the ``failed``th failure in a row."""
        own = chance() * min(self.longest, self.first * 2.0 ** min(failed - 1, 60))
        return own if after is None else max(own, after * (1 + chance() / 10))


class Attempts:
    """The tries for one thing, ``shown`` in errors. ``tell`` is given one line for each failure that is not the last."""

    def __init__(
        self,
        shown: str,
        deadline: Deadline,
        patience: Patience | None = None,
        *,
        sleep: Sleep = time.sleep,
        chance: Callable[[], float] = random.random,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._shown, self._deadline, self._patience = shown, deadline, patience or Patience()
        self._sleep, self._chance, self._tell = sleep, chance, tell
        self._failed = 0

    def insist(self, ask: Callable[[], _Result]) -> _Result:
        """Ask until there is an answer or no hope. Raises what ``ask`` raises, and DeadlineError."""
        while True:
            try:
                return ask()
            except TransportError as error:
                self._wait_for_better(error)

    def progressed(self, count: int, *, complete: bool) -> None:
        """``count`` bytes came since a range was asked for, and perhaps all of it: failures before that count no more."""
        if complete or count > self._patience.progress:
            self._failed = 0

    def _wait_for_better(self, error: TransportError) -> None:
        """Wait until asking again makes sense. Raises the error where it never will, and DeadlineError where that is too late."""
        self._failed += 1
        hopeless = not error.retry or self._failed >= self._patience.failures
        if hopeless or (error.after or 0) > self._patience.most:
            raise error
        seconds = self._patience.wait(self._failed, error.after, self._chance)
        if seconds >= self._deadline.left(self._shown):
            raise error if error.after is not None else self._deadline.over(self._shown, error) from error
        self._tell(f"{error}; trying again in {seconds:.0f} s")
        self._sleep(seconds)
        self._deadline.left(self._shown)


class RetryingSource:
    """Another source, with patience."""

    def __init__(
        self,
        source: Source,
        deadline: Deadline,
        patience: Patience | None = None,
        *,
        sleep: Sleep = time.sleep,
        chance: Callable[[], float] = random.random,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._source, self.shown = source, source.shown
        self._attempts = Attempts(source.shown, deadline, patience, sleep=sleep, chance=chance, tell=tell)

    def size(self) -> int:
        """Bytes in all. Raises what the other source raises, when patience ends."""
        return self._attempts.insist(self._source.size)

    @contextmanager
    def open(self, offset: int, length: int) -> Iterator[_RetryingReader]:
        """A range; it is asked for when it is read. Raises what the other source raises, when patience ends."""
        with ExitStack() as opened:
            yield _RetryingReader(self._attempts, self._source, offset, length, opened)


class _RetryingReader:
    def __init__(self, attempts: Attempts, source: Source, offset: int, length: int, opened: ExitStack) -> None:
        self._attempts, self._source, self._opened = attempts, source, opened
        self._offset, self._end = offset, offset + length
        self._reader: Reader | None = None
        self._came = 0

    def readinto(self, buffer: memoryview, /) -> int:
        if self._offset == self._end or not len(buffer):
            return 0
        return self._attempts.insist(lambda: self._read(buffer))

    def _read(self, buffer: memoryview) -> int:
        try:
            if self._reader is None:
                self._reader, self._came = self._open(), 0
            count = self._reader.readinto(buffer)
        except TransportError:
            self._reader = None
            self._opened.close()
            raise
        self._offset, self._came = self._offset + count, self._came + count
        self._attempts.progressed(self._came, complete=self._offset == self._end)
        return count

    def _open(self) -> Reader:
        return self._opened.enter_context(self._source.open(self._offset, self._end - self._offset))
