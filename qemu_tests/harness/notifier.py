"""One place to wait: every source of news of a machine rings it, and whoever waits looks again."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Notifier:
    """A condition variable for all news of one machine: console, control port, monitor and process.

    A single wait can so end on whatever comes first: what was hoped for, a reboot, or the end of the process.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()

    def ring(self) -> None:
        """Something happened: wake all who wait. Called by the sources."""
        with self._condition:
            self._condition.notify_all()

    def wait(self, look: Callable[[], T | None], seconds: float) -> T | None:
        """The first result of ``look`` that is not None, or None after ``seconds``. What ``look`` raises ends the wait."""
        deadline = time.monotonic() + seconds
        with self._condition:
            while (found := look()) is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._condition.wait(left)
            return found
