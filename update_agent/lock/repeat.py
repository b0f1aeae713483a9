"""Trying again where others were faster, or where an answer stayed away."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, TypeVar

from update_agent.lock.errors import LockAmbiguousError, LockBusyError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds after which nothing is begun anew."""
PAUSE = 0.05
"""Seconds at most before the next try."""


def pause() -> None:
    """Wait for a short and random time, so that two that came at once do not come at once again."""
    time.sleep(random.uniform(0, PAUSE))  # noqa: S311


def repeat(
    key: str,
    step: Callable[[], T | None],
    in_doubt: Callable[[], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    rest: Callable[[], None] = pause,
) -> T:
    """What ``step`` answers, which begins with a look; None: the document at ``key`` was changed meanwhile.

    ``in_doubt`` is called where an answer stayed away, before the next step. Raises LockBusyError, LockAmbiguousError where the last
    answer stayed away, and what ``step`` raises.
    """
    end, tries = clock() + PATIENCE, 0
    while True:
        tries += 1
        try:
            answer = step()
        except LockAmbiguousError:
            in_doubt()
            if clock() >= end:
                raise
            continue
        if answer is not None:
            return answer
        if clock() >= end:
            raise LockBusyError(key, tries)
        rest()
