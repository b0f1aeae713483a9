"""How a build is told to stop: its programs end, its temporary files go, and it says so in one line.

A signal becomes an exception, ``Stopped``, so that every ``with`` and ``finally`` on the way does its work. Three things make that
certain. What is temporary and what runs is entered in a list *before* it is there, and what is left on the lists goes at the end.
An exception that is lost (in a destructor, in a callback) is raised again by the next ``check``. And a second signal does nothing,
so that no clean-up is interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bootselect.stop_signals import SIGNALS, listen, say_stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GRACE = 3.0
"""Seconds that a program has to clean up for itself (mmdebstrap unmounts things) before it is killed."""


class Stopped(BaseException):
    """A signal asked the process to end; not an Exception, so that nothing takes it for an error of the build."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


@dataclass
class _State:
    """Of this process; signals are the process's, too."""

    number: int = 0
    """The signal that came; 0: none."""
    deferred: int = 0
    """How many blocks of the main thread want to end before it is interrupted."""
    groups: set[int] = field(default_factory=set)
    """Process groups of the programs that run."""
    temporaries: dict[Path, Callable[[Path], object]] = field(default_factory=dict)
    """What must not be left behind, and how it is removed."""


_state = _State()


def check() -> None:
    """Raise Stopped where a signal has come; for threads other than the main one, which no signal interrupts."""
    if _state.number:
        raise Stopped(_state.number)


def expect(temporary: Path, remove: Callable[[Path], object]) -> None:
    """Say that ``temporary`` will be there. Raises Stopped."""
    check()
    _state.temporaries[temporary] = remove


def forget(temporary: Path) -> None:
    """Say that ``temporary`` is gone."""
    _state.temporaries.pop(temporary, None)


@contextmanager
def entering() -> Iterator[set[int]]:
    """A block that starts a program and enters its process group in the set; it is interrupted at its end only."""
    main = threading.current_thread() is threading.main_thread()
    if main:
        _state.deferred += 1
    try:
        yield _state.groups
    finally:
        if main:
            _state.deferred -= 1
        if _state.number:
            end_programs(signal.SIGTERM)
            if main:
                check()


def left(group: int) -> None:
    """Say that the programs of a process group have ended."""
    _state.groups.discard(group)


def end_programs(number: int) -> None:
    """Send a signal to all programs that run, and to what they have started."""
    for group in list(_state.groups):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


@contextmanager
def stoppable(program: str) -> Iterator[None]:
    """The whole of a command: a signal ends it with 128 + its number, no temporary file and one line on standard error.

    Signals reach the main thread only; in any other one the block runs as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _state.number = _state.deferred = 0
    hook, sys.unraisablehook = sys.unraisablehook, _without_stopped
    before = listen(_on_signal)
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, _on_alarm)
    try:
        try:
            yield
        finally:
            # From here on the first signal raises nothing either: there would be nobody to catch it.
            _state.deferred += 1
    except Stopped:
        pass
    finally:
        sys.unraisablehook = hook
        if _state.number:
            _clear_away()
            signal.setitimer(signal.ITIMER_REAL, 0)
            say_stopped(program, _state.number, "no half-written file is left")
            # The interpreter gives the handlers back before it ends; a second signal would change the exit code.
            signal.pthread_sigmask(signal.SIG_BLOCK, {*SIGNALS, signal.SIGALRM})
            raise SystemExit(128 + _state.number)
        for number, handler in before.items():
            signal.signal(number, handler)
        _state.deferred = 0


def _on_signal(number: int, _frame: object) -> None:
    if _state.number:
        return
    _state.number = number
    end_programs(signal.SIGTERM)
    signal.setitimer(signal.ITIMER_REAL, GRACE, GRACE)
    if not _state.deferred:
        raise Stopped(number)


def _on_alarm(_number: int, _frame: object) -> None:
    end_programs(signal.SIGKILL)


def _clear_away() -> None:
    end_programs(signal.SIGKILL)
    for path, remove in list(_state.temporaries.items()):
        with suppress(OSError):
            remove(path)
        forget(path)


def _without_stopped(unraisable: sys.UnraisableHookArgs) -> None:
    """Say nothing of a Stopped that was lost: ``check`` raises it again."""
    if not isinstance(unraisable.exc_value, Stopped):
        sys.__unraisablehook__(unraisable)
