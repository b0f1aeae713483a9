"""How fast a transfer may be, and how slow: rate limit, floor and deadline. The clock is passed in, in seconds that never go back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from update_agent.transport.errors import DeadlineError, TooSlowError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    Clock = Callable[[], float]
    Sleep = Callable[[float], None]

SLOWEST_LIMIT = 4000
"""Bytes a second: a lower rate limit would come near to the floor, and a transfer would fail for its own limit."""


@dataclass(frozen=True)
class Limits:
    """``connect``: seconds for each step of connecting. ``floor``: bytes a second that must come in each ``window`` of seconds."""

    connect: float = 30.0
    floor: int = 1000
    window: float = 60.0


class Deadline:
    """The end of a whole transfer, all its retries and waits included. It runs from the beginning on."""

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self.begin()

    def begin(self) -> None:
        """It runs anew from now on: what was transferred is whole, and something else begins."""
        self._end = self._clock() + self._seconds

    def left(self, shown: str) -> float:
        """Seconds, above 0. Raises DeadlineError when there are none; ``shown`` is what is transferred."""
        left = self._end - self._clock()
        if left <= 0:
            raise self.over(shown)
        return left

    def over(self, shown: str, last: TransportError | None = None) -> DeadlineError:
        """The error for a transfer that does not end in time; ``last`` is what its last try met."""
        met = f"; last: {last.problem}" if last is not None else ""
        return DeadlineError(shown, f"it was not transferred within {self._seconds:g} seconds{met}")


class RateLimit:
    """A token bucket: over any time t at most ``rate`` * t bytes, and a quarter of a second's worth and one portion more."""

    def __init__(self, rate: int, clock: Clock = time.monotonic, sleep: Sleep = time.sleep) -> None:
        if rate < SLOWEST_LIMIT:
            raise ValueError(f"a rate limit of {rate} bytes a second; expected at least {SLOWEST_LIMIT}")
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._tokens, self._last = 0.0, clock()
        self.portion = max(1, rate // 4)
        """Bytes that are worth reading at once."""

    def take(self, count: int) -> None:
        """Account for bytes that came, and sleep off what is too much."""
        now = self._clock()
        self._tokens = min(self._rate / 4, self._tokens + (now - self._last) * self._rate) - count
        self._last = now
        if self._tokens < 0:
            self._sleep(-self._tokens / self._rate)


class Floor:
    """Sees to it that an answer comes at more than ``limits.floor`` bytes a second.

    Only time spent waiting for the network counts, in windows: a machine whose disk is slow does not blame the server. So what
    gets slower is found within two windows of waiting.
    """

    def __init__(self, shown: str, limits: Limits, deadline: Deadline, clock: Clock) -> None:
        self._shown, self._limits, self._deadline, self._clock = shown, limits, deadline, clock
        self._waited, self._came = 0.0, 0

    def patience(self) -> float:
        """Seconds that may be waited for the next byte. Raises DeadlineError."""
        return min(self._limits.window - self._waited, self._deadline.left(self._shown))

    def waited(self, since: float, count: int) -> None:
        """``count`` bytes came after waiting since ``since``. Raises TooSlowError and DeadlineError."""
        self._waited += max(0.0, self._clock() - since)
        self._came += count
        if self._waited >= self._limits.window:
            if self._came < self._limits.floor * self._limits.window:
                raise TooSlowError(
                    self._shown, f"only {self._came} bytes came within {self._waited:.0f} seconds of waiting"
                )
            self._waited, self._came = 0.0, 0
        self._deadline.left(self._shown)

    def starved(self) -> TooSlowError:
        """The error for a wait that ended without a byte."""
        return TooSlowError(
            self._shown, f"it stalled: {self._came} bytes came within {self._limits.window:g} seconds of waiting"
        )
