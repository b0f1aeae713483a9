"""The order of everything between an armed slot and the reboot, and between the reboot and the end of what was promised for it.

Nothing here looks at the machine or at a clock by itself: all of it comes in through ``Means``. A plan is asked again and again and
begins each time at the front, so that whatever has changed meanwhile (a window that closed, a lock that somebody took from us, a
strategy) is found before the next step. What a step has reached is remembered, the part that others depend on by the disk.

    window -> strategy -> inhibitors -> stop -> lock -> window -> warning -> window -> inhibitors -> pre-reboot.d -> window -> reboot
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from update_agent.lock.coordinator import Waiting
from update_agent.lock.errors import LockError
from update_agent.reboot.promise import Promise, Verdict
from update_agent.reboot.stops import words_of
from update_agent.reboot.strategy import Hold, Locked, Now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from update_agent.lock.coordinator import Held, Lock
    from update_agent.reboot.inhibitors import Inhibitor
    from update_agent.reboot.window import Window

LOOK_EVERY = 10.0
"""Seconds between two looks while people are warned: who logs in meanwhile is told, and a person who cancels is heard."""
LOCK_EVERY, AHEAD = 10.0, 0.5
"""Seconds between two questions to the lock; for each machine ahead where that is more, as who is far back is not the next."""
DRAIN_EVERY = 600.0
"""Seconds from a pre-reboot.d that failed to the next try."""
STALE = 600.0
"""Seconds after its end that a warning counts."""
FURTHEST = 3600.0
"""Seconds at most until a window is looked at again: clocks and settings change."""
GIVEN_UP = "given-up"
"""What post-good.d is told where no reboot followed."""


class Means(Protocol):
    """What a plan looks at and works with. ``now`` has a zone; ``uptime`` is in seconds and never goes back."""

    @property
    def warning(self) -> float:
        """Seconds that people are warned before."""

    @property
    def inhibit_time(self) -> float:
        """Seconds that inhibitors are respected."""

    def now(self) -> datetime:
        """The wall clock."""

    def uptime(self) -> float:
        """The clock for times that pass."""

    def window(self) -> Window | None:
        """The window for reboots; None: it is always open."""

    def strategy(self) -> Now | Hold | Locked:
        """What the strategy says now."""

    def lock(self, kind: str) -> Lock:
        """The lock of this kind. Raises LockError."""

    def save(self, promise: Promise | None) -> None:
        """Write down what is owed. Raises PromiseError."""

    def warn(self, seconds: float, told: frozenset[str]) -> frozenset[str]:
        """Tell those who are logged in, but for those who were told; the terminals of all who are logged in now."""

    def unwarn(self) -> None:
        """Tell them that the reboot does not come."""

    def inhibitors(self) -> Sequence[Inhibitor]:
        """Who wants the machine to stay up."""

    def drain(self, version: str) -> str:
        """Run pre-reboot.d. What went wrong; empty for nothing."""

    def undrain(self, version: str, outcome: str) -> str:
        """Run post-good.d. What went wrong; empty for nothing."""

    def tell(self, line: str) -> None:
        """For people."""


@dataclass(frozen=True)
class _Warning:
    """The reboot comes ``end``, in words ``until``; it was told at these terminals."""

    end: float
    until: str
    told: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Inhibited:
    """Inhibitors keep ``version`` from being booted until ``end``, in words ``until``."""

    version: str
    end: float
    until: str


class Plan:
    """The way to the reboot of one machine. ``promise`` is what the disk says that it owes."""

    def __init__(self, means: Means, promise: Promise | None = None) -> None:
        self.means, self.promise = means, promise
        self._warned: _Warning | None = None
        self._inhibited: _Inhibited | None = None
        self._again: tuple[str, float, str] | None = None
        self._drained = self._overridden = ""
        self.answer: Held | Waiting | None = None
        """What the lock said last of a place that the machine may still have."""

    def ask(self, version: str) -> Hold | None:
        """Whether the machine may reboot into ``version`` now: None; else what it waits for. Raises PromiseError."""
        try:
            hold = self._way(version)
        except LockError as error:
            hold = Hold(f"the lock: {error}", LOCK_EVERY)
        if hold is not None and hold.give_back and not self.give_up(hold.reason):
            self._let_go_under_off(self.means.strategy())
        return hold

    def give_up(self, reason: str) -> bool:
        """No reboot follows: people are told, post-good.d undoes what pre-reboot.d did, and the place goes back.

        What cannot be done now is still owed: False, and the next call tries again. Raises PromiseError.
        """
        self._unwarn()
        self._drained = ""
        promise = self.promise
        if promise is None or promise.verdict is not Verdict.NONE:
            return True
        return self._undrain(GIVEN_UP) and self._release(reason)

    def settle_up(self) -> Hold | None:
        """Pay what is owed for a version whose verdict is there; None where nothing is owed any more. Raises PromiseError.

        Good: post-good.d, and then the place goes back. Rolled back: the others are told, and the place is kept until they may go on.
        """
        promise = self.promise
        if promise is None or promise.verdict is Verdict.NONE:
            return None
        self._warned, self._drained = None, ""
        decision = self.means.strategy()
        if not promise.kind and isinstance(decision, Locked):
            promise = self._save(replace(promise, kind=decision.kind))
        alone = isinstance(decision, Now) or (isinstance(decision, Hold) and decision.give_back)
        stopping = promise.verdict is Verdict.ROLLED_BACK and bool(promise.kind) and not alone
        hold = self._stop_others(promise) if stopping else None
        if not self._undrain(str(promise.verdict)):
            self._let_go_under_off(decision)
            return hold or Hold("post-good.d did not run to its end; the place in the lock is kept until it does")
        if hold is None and not self._release(f"version {promise.version} is {promise.verdict}"):
            hold = Hold("the place in the lock cannot be given back yet")
        return hold

    def _stop_others(self, promise: Promise) -> Hold | None:
        """Let nobody start on what was rolled back here; None when the fleet may go on."""
        version = promise.version
        try:
            lock = self.means.lock(promise.kind)
            if not promise.kept:
                lock.rolled_back(version, promise.reason)
                self._save(replace(promise, kept=True))
            elif lock.stopped(version) is None:
                return None
        except LockError as error:
            self.means.tell(f"version {version} was rolled back, and the lock cannot be asked about it: {error}")
        return Hold(f"version {version} was rolled back here; the place in the lock is kept")

    def _way(self, version: str) -> Hold | None:
        hold = self._closed()
        if hold is not None:
            self._inhibited = None
            return hold
        hold = self._untold() or self._resting(version)
        if hold is not None:
            return hold
        decision = self.means.strategy()
        if isinstance(decision, Hold):
            return decision
        return (
            self._held(version)
            or self._place(decision, version)
            or self._closed()
            or self._warning()
            or self._closed()
            or self._held(version)
            or self._drain(version)
            or self._closed()
        )

    def _closed(self) -> Hold | None:
        window, now = self.means.window(), self.means.now()
        if window is None or window.is_open(now):
            return None
        opening = window.next_opening(now)
        seconds = min(FURTHEST, max(1.0, (opening - now).total_seconds()))
        local = opening.astimezone(window.zone)
        return Hold(f"the next window for reboots opens {local:%a %Y-%m-%d %H:%M %Z}", seconds, give_back=True)

    def _untold(self) -> Hold | None:
        """A rollback that the others do not know of yet comes first."""
        promise = self.promise
        if promise is None or promise.verdict is not Verdict.ROLLED_BACK or promise.kept:
            return None
        return Hold(f"the others are still to be told that version {promise.version} was rolled back", LOCK_EVERY)

    def _resting(self, version: str) -> Hold | None:
        """After a drain that failed."""
        if self._again is None or self._again[0] != version:
            return None
        left = self._again[1] - self.means.uptime()
        if left <= 0:
            return None
        return Hold(f"pre-reboot.d failed, and is tried again after a while: {self._again[2]}", left, give_back=True)

    def _held(self, version: str) -> Hold | None:
        """Inhibitors, for as long as they are respected; the time counts from the first one that stood in the way."""
        found = self.means.inhibitors()
        if not found:
            return None
        names, now = ", ".join(map(str, found)), self.means.uptime()
        if self._inhibited is None or self._inhibited.version != version:
            seconds = self.means.inhibit_time
            self._inhibited = _Inhibited(version, now + seconds, self._moment(seconds))
        left = self._inhibited.end - now
        if left > 0:
            # Nobody has to wait for a machine that waits itself.
            return Hold(f"held by {names}, until {self._inhibited.until} at most", left, give_back=True)
        if self._overridden != names:
            self._overridden = names
            self.means.tell(f"the machine reboots although it is held by {names}: reboot.inhibit-time is over")
        return None

    def _place(self, decision: Now | Locked, version: str) -> Hold | None:
        """A place in the lock, or none where none is needed. Raises LockError."""
        kind = decision.kind if isinstance(decision, Locked) else ""
        promise = self.promise
        if promise is not None and promise.kind and promise.kind != kind and not self._release("another lock is meant"):
            return Hold("the place in the old lock cannot be given back", LOCK_EVERY)
        if not kind:
            return None
        lock = self.means.lock(kind)
        stop = lock.stopped(version)
        if stop is not None:
            return Hold(words_of(version, stop), give_back=True, stopped=True)
        wanted = Promise(version, kind, undrain=promise is not None and promise.undrain)
        if self.promise != wanted:
            self._save(wanted)
        self.answer = answer = lock.acquire(version)
        if not isinstance(answer, Waiting):
            return None
        self._unwarn()
        if self._undrain(GIVEN_UP):
            self._drained = ""
        seconds = max(LOCK_EVERY, AHEAD * answer.ahead)
        return Hold(f"waits for its place in the lock, {answer.ahead} ahead: {answer.reason}", seconds)

    def _warning(self) -> Hold | None:
        """Until all who are logged in had the time to read it; nobody waits where nobody is."""
        means, now = self.means, self.means.uptime()
        warned = self._warned
        if warned is None or now > warned.end + STALE:
            warned = _Warning(now + means.warning, self._moment(means.warning))
        left = warned.end - now
        if left > 0:
            told = means.warn(left, warned.told)
            left = left if told else 0.0
            warned = replace(warned, told=told, end=now + left)
        self._warned = warned
        if left <= 0:
            return None
        return Hold(f"those who are logged in were warned: the reboot comes at {warned.until}", min(left, LOOK_EVERY))

    def _moment(self, seconds: float) -> str:
        """So long from now, in words."""
        return f"{self.means.now() + timedelta(seconds=seconds):%H:%M:%S %Z}"

    def _unwarn(self) -> None:
        warned, self._warned = self._warned, None
        if warned is not None and warned.told:
            self.means.unwarn()

    def _drain(self, version: str) -> Hold | None:
        if self._drained == version:
            return None
        self._save(replace(self.promise or Promise(version), version=version, undrain=True))
        problem = self.means.drain(version)
        if problem:
            self._again = version, self.means.uptime() + DRAIN_EVERY, problem
            return Hold(f"pre-reboot.d: {problem}", give_back=True)
        self._drained = version
        return None

    def _undrain(self, outcome: str) -> bool:
        """Run post-good.d where that is owed. Whether it is owed no more."""
        promise = self.promise
        if promise is None or not promise.undrain:
            return True
        problem = self.means.undrain(promise.version, outcome)
        if problem:
            self.means.tell(f"post-good.d: {problem}")
            return False
        self._save(replace(promise, undrain=False))
        return True

    def _release(self, reason: str) -> bool:
        """Give the place back and owe nothing. Whether that was possible."""
        if not self._let_go(reason):
            return False
        self.means.save(None)
        self.promise = None
        return True

    def _let_go(self, reason: str) -> bool:
        """Give the place back, whatever else is owed. Whether there is none any more."""
        promise = self.promise
        if promise is None or not promise.kind:
            return True
        try:
            self.means.lock(promise.kind).release()
        except LockError as error:
            self.means.tell(f"the place in the lock cannot be given back ({reason}): {error}")
            return False
        self._save(replace(promise, kind="", kept=False))
        self.answer = None
        return True

    def _let_go_under_off(self, decision: Now | Hold | Locked) -> None:
        """No place is kept under ``off``, not even for hooks that fail."""
        if isinstance(decision, Hold) and decision.give_back:
            self._let_go(decision.reason)

    def _save(self, promise: Promise) -> Promise:
        self.means.save(promise)
        self.promise = promise
        return promise
