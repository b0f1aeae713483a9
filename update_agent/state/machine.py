"""One update of one machine as a value, and the pure function that takes it from state to state.

>>> from datetime import UTC, datetime
>>> now = datetime(2026, 11, 28, 12, tzinfo=UTC)
>>> idle = Machine(since=now)
>>> found = advance(advance(idle, Event(Happening.CHECK, now)), Event(Happening.FOUND, now, version="1.1"))
>>> str(found.state), found.version
('available', '1.1')
>>> advance(Machine(since=now, state=State.GOOD, version="1", slot="B"), Event(Happening.REBOOT, now))
Traceback (most recent call last):
update_agent.state.errors.TransitionError: 'reboot' cannot happen while the update is good; it could be settle
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gptlib.printable import printable
from update_agent.state.errors import InvalidStateError, KnownBadError, NotKnownBadError, TransitionError
from update_agent.state.transitions import NEXT, Happening, State, possible

LONGEST_VERSION = 255
LONGEST_REASON = 400
"""Characters; a longer reason is cut off."""
MOST_BAD = 1000
"""Versions that are remembered; the oldest go first."""
MOST_UNTRIED = 3
"""Boots that may come up on the old slot although the new one has tries left; the last of them counts as a rollback."""

_S, _H = State, Happening
WITH_SLOT = frozenset(State) - {_S.IDLE, _S.CHECKING, _S.AVAILABLE}
"""States in which a slot belongs to the update."""
WITH_VERSION = frozenset({_S.AVAILABLE, *WITH_SLOT})
WITH_BOOT = frozenset({_S.ARMED, _S.WAITING, _S.REBOOTING, _S.PROVING})
ON_TRIAL = frozenset({_S.INSTALLING, *WITH_BOOT})
"""States in which the new slot may be booted."""
WITH_PROGRESS = frozenset({_S.DOWNLOADING, _S.VERIFYING})

NEEDS = {
    _H.FOUND: ("version",),
    _H.BEGIN: ("slot",),
    _H.PROGRESS: ("progress",),
    _H.ARM: ("boot_id",),
    _H.BOOTED: ("version", "slot", "boot_id"),
    _H.NOT_TRIED: ("reason", "boot_id"),
    **dict.fromkeys((_H.NOTHING, _H.REFUSE, _H.FAIL, _H.CANCEL, _H.WITHDRAW, _H.HOLD, _H.ROLL_BACK), ("reason",)),
}
"""What an event must say, beside the time."""


@dataclass(frozen=True)
class Progress:
    """Bytes that are done, and bytes in all."""

    done: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.done <= self.total:
            raise InvalidStateError(f"{self.done} of {self.total} bytes are no progress")


@dataclass(frozen=True)
class KnownBad:
    """A version that is not taken again by itself: it was rolled back on this machine, or a person cancelled it. Why, and when (UTC)."""

    version: str
    reason: str
    at: datetime

    def __post_init__(self) -> None:
        _require_version(self.version)
        _require_moment(self.at)
        _require_reason(self.reason)


@dataclass(frozen=True)
class Event:
    """Something that happens ``at`` a time, with a zone. What else it says depends on what it is (``NEEDS``).

    ``slot`` is the partition UUID in lower case, ``boot_id`` the kernel's of the running boot; ``asked``: a person named the
    version. Raises InvalidStateError where something is missing or impossible. A reason becomes one printable line.
    """

    what: Happening
    at: datetime
    reason: str = ""
    version: str | None = None
    slot: str | None = None
    boot_id: str | None = None
    progress: Progress | None = None
    asked: bool = False

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise InvalidStateError(f"the time {self.at} has no zone")
        object.__setattr__(self, "at", self.at.astimezone(UTC).replace(microsecond=0))
        object.__setattr__(self, "reason", _one_line(self.reason))
        missing = [name for name in NEEDS.get(self.what, ()) if not getattr(self, name)]
        if missing:
            raise InvalidStateError(f"'{self.what}' does not say its {' and '.join(missing)}")
        if self.version is not None:
            _require_version(self.version)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where the update of this machine stands. Raises InvalidStateError for values that do not belong together.

    ``event`` is what led into the state and ``since`` is when (UTC, whole seconds). ``reason`` is in words, for people.
    ``version`` is what it is about, in the idle state that of the reason. ``slot`` is the partition UUID of the slot that
    belongs to the update, ``boot_id`` the boot in which it was armed, or seen last. ``untried`` boots came up on the old slot
    although the new one had tries left. ``checked``: when the repository was last asked, and answered.
    """

    since: datetime
    state: State = State.IDLE
    event: Happening = Happening.SETTLE
    version: str | None = None
    reason: str = ""
    progress: Progress | None = None
    slot: str | None = None
    boot_id: str | None = None
    untried: int = 0
    checked: datetime | None = None
    bad: tuple[KnownBad, ...] = ()

    def __post_init__(self) -> None:
        _require_moment(self.since)
        if self.checked is not None:
            _require_moment(self.checked)
        if self.version is not None:
            _require_version(self.version)
        _require_reason(self.reason)
        for name, value, states in (
            ("version", self.version, WITH_VERSION),
            ("slot", self.slot, WITH_SLOT),
            ("boot id", self.boot_id, WITH_BOOT),
        ):
            if self.state in states and not value:
                raise InvalidStateError(f"the state {self.state} has no {name}")
        if self.progress is not None and self.state not in WITH_PROGRESS:
            raise InvalidStateError(f"the state {self.state} has no progress")
        if not 0 <= self.untried <= MOST_UNTRIED:
            raise InvalidStateError(f"{self.untried} boots without a try; expected 0 to {MOST_UNTRIED}")
        if len({bad.version for bad in self.bad}) != len(self.bad):
            raise InvalidStateError("a version is known to be bad twice")

    def known_bad(self, version: str) -> KnownBad | None:
        """What is remembered of a version that was rolled back."""
        return next((bad for bad in self.bad if bad.version == version), None)


def advance(machine: Machine, event: Event) -> Machine:
    """The machine after the event. Raises TransitionError, and KnownBadError for a version that was rolled back.

    Nothing is written. The time of the event is only noted: a clock that goes back changes nothing.
    """
    after = NEXT.get((machine.state, event.what))
    if after is None:
        raise TransitionError(machine.state, event.what, ", ".join(possible(machine.state)))
    if event.what is _H.FOUND and not event.asked:
        bad = machine.known_bad(event.version or "")
        if bad is not None:
            raise KnownBadError(bad)
    version = event.version or machine.version
    if event.what in (_H.CHECK, _H.NOTHING):
        version = event.version
    return Machine(
        state=after,
        event=event.what if event.what is not _H.PROGRESS else machine.event,
        since=event.at if after is not machine.state else machine.since,
        version=version,
        # What was rolled back, and why, is still worth knowing when it is reported.
        reason=event.reason or (machine.reason if event.what in (_H.SETTLE, _H.PROGRESS) else ""),
        progress=_progress(machine, event, after),
        slot=(event.slot or machine.slot) if after in WITH_SLOT else None,
        boot_id=(event.boot_id or machine.boot_id) if after in WITH_BOOT else None,
        untried=_untried(machine, event, after),
        checked=event.at if machine.state is _S.CHECKING and event.what in (_H.NOTHING, _H.FOUND) else machine.checked,
        bad=_bad(machine, event, version),
    )


def forget(machine: Machine, version: str) -> Machine:
    """Without what is remembered of a version: a person wants it to be taken again. Raises NotKnownBadError. Nothing is written."""
    if machine.known_bad(version) is None:
        raise NotKnownBadError(version, ", ".join(bad.version for bad in machine.bad))
    return replace(machine, bad=_without(machine.bad, version))


def remember(known: tuple[KnownBad, ...], *more: KnownBad) -> tuple[KnownBad, ...]:
    """``known`` and ``more``, each version once and as it was said last, at most ``MOST_BAD`` of them."""
    for bad in more:
        known = (*_without(known, bad.version), bad)
    return known[-MOST_BAD:]


def _bad(machine: Machine, event: Event, version: str | None) -> tuple[KnownBad, ...]:
    if event.what in (_H.ROLL_BACK, _H.CANCEL) and version:
        return remember(machine.bad, KnownBad(version, event.reason, event.at))
    if event.what is _H.PROVED and version:
        return _without(machine.bad, version)
    return machine.bad


def _without(known: tuple[KnownBad, ...], version: str) -> tuple[KnownBad, ...]:
    return tuple(bad for bad in known if bad.version != version)


def _progress(machine: Machine, event: Event, after: State) -> Progress | None:
    if after not in WITH_PROGRESS:
        return None
    return event.progress or (machine.progress if after is machine.state else None)


def _untried(machine: Machine, event: Event, after: State) -> int:
    if event.what is _H.NOT_TRIED:
        return machine.untried + 1
    return machine.untried if after in (_S.ARMED, _S.WAITING, _S.REBOOTING) else 0


def _one_line(text: str) -> str:
    text = printable(text)
    return text if len(text) <= LONGEST_REASON else f"{text[: LONGEST_REASON - 3]}..."


def _require_version(version: str) -> None:
    if not version or len(version) > LONGEST_VERSION or not version.isprintable():
        raise InvalidStateError(
            f"{ascii(version)[:80]} is no version; expected 1 to {LONGEST_VERSION} printable characters"
        )


def _require_reason(reason: str) -> None:
    if _one_line(reason) != reason:
        raise InvalidStateError(f"the reason {ascii(reason)[:80]} is longer than {LONGEST_REASON} printable characters")


def _require_moment(moment: datetime) -> None:
    if moment.tzinfo is not UTC or moment.microsecond:
        raise InvalidStateError(f"{moment} is no whole second of UTC")
