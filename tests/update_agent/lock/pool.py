"""Many lives on few threads: each is a generator that says after how many seconds it goes on."""

from __future__ import annotations

import heapq
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Life = Iterator[float]

PAUSE = 0.05
"""Seconds between two looks of who watches."""


class Pool:
    """A thread takes the life that is due first, lives one step of it, and puts it back."""

    def __init__(self, lives: list[Life], threads: int) -> None:
        self._due: list[tuple[float, int]] = [(0.0, number) for number in range(len(lives))]
        self._lives, self._left = lives, len(lives)
        self._changed = threading.Condition()
        self._stopped = False
        self.errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]

    def run(self, seconds: float, watch: Callable[[], None]) -> bool:
        """Until all lives are over, or the time is: whether all are. ``watch`` is called meanwhile. Raises what a life raised."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.start()
        while self._left and not self.errors and time.monotonic() < end:
            watch()
            time.sleep(PAUSE)
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(90)
        if self.errors:
            raise self.errors[0]
        return not self._left

    def _work(self) -> None:
        while (number := self._next()) is not None:
            try:
                pause = next(self._lives[number], None)
            except BaseException as error:  # noqa: BLE001  (raised by ``run``)
                self.errors.append(error)
                return
            with self._changed:
                if pause is None:
                    self._left -= 1
                else:
                    heapq.heappush(self._due, (time.monotonic() + pause, number))
                self._changed.notify()

    def _next(self) -> int | None:
        """Whose turn it is; None at the end."""
        with self._changed:
            while not self._stopped and self._left:
                left = self._due[0][0] - time.monotonic() if self._due else None
                if left is not None and left <= 0:
                    return heapq.heappop(self._due)[1]
                self._changed.wait(left)
            self._changed.notify_all()
            return None
