"""The lock of a group as one machine has it: locksmith's document, and a fair queue before it.

A place is taken by compare-and-swap of the document, and no clock takes it away. Who finds none gets a ticket, a key bound to a
lease: tickets have the order of their create revisions, and that of a machine that died is gone with its lease. A machine takes a
free place when fewer machines are before it than places are free, so nobody is overtaken by luck.

An answer that stays away leaves a change that may still be made, later, by a member that wakes up. It cannot be made any more once
the document has a new revision. So a machine that is not sure writes the document as it is, before it goes on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar, cast

from update_agent.lock import wire
from update_agent.lock.coordinator import Held, Stop, Waiting
from update_agent.lock.errors import LeaseGoneError
from update_agent.lock.group import document
from update_agent.lock.keys import Keys
from update_agent.lock.records import Record, record_of, stop_of, stop_to_bytes
from update_agent.lock.repeat import pause, repeat

if TYPE_CHECKING:
    from collections.abc import Callable

    from update_agent.lock.etcd import Etcd
    from update_agent.lock.semaphore import Semaphore
    from update_agent.lock.wire import Entry, Json

T = TypeVar("T")
TICKET = timedelta(minutes=10)
"""A machine that does not ask for so long loses its place in the queue: it died, or has no network."""
COUNTED = 100
"""Machines ahead are counted up to this."""
NEVER = timedelta(0)


@dataclass(frozen=True)
class _Seen:
    """What one look found. ``before``: keys of the tickets before ours, or of all where we have none, at most ``COUNTED``."""

    semaphore: Semaphore
    revision: int
    store: int
    record: Record | None
    ticket: Entry | None
    before: tuple[str, ...]
    stop: Stop | None


class EtcdLock:
    """See ``update_agent.lock.coordinator.Lock``. Not for several threads at once.

    ``ticket``: how long a ticket outlives the last ``acquire``. ``expiry``: a place ends by itself so long after it was taken,
    whatever the machine does then; it never does by default. Raises GroupError.
    """

    def __init__(
        self,
        etcd: Etcd,
        group: str,
        machine: str,
        *,
        ticket: timedelta = TICKET,
        expiry: timedelta = NEVER,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[], None] = pause,
    ) -> None:
        self.keys, self.group, self.machine = Keys(group), group, machine
        self._etcd, self._now, self._clock, self._rest = etcd, now, clock, rest
        self._ticket_time, self._expiry = ticket, expiry
        self._sure, self._place = False, 0
        self._mine: _Seen | None = None
        self._written = 0
        self._lease, self._renewed = 0, 0.0
        self._watch: tuple[str, int] | None = None

    def acquire(self, version: str) -> Held | Waiting:
        """Take a place or a ticket."""

        def step() -> Held | Waiting | None:
            return self._step(self._look(version), version)

        return cast("Held | Waiting", self._repeat(step))  # mypy makes an object of the two

    def held(self) -> Held | None:
        """As the document and the record have it."""
        seen = self._look("")
        if self.machine not in seen.semaphore.holders:
            return None
        return Held(seen.record.since if seen.record else None)

    def release(self) -> None:
        """Give back what there is of place and ticket, also a place that was kept after a rollback. A stop stays."""
        self._repeat(self._leave)

    def rolled_back(self, version: str, reason: str) -> None:
        """Write the stop, and into the record why the place is kept."""
        stop = Stop(self.machine, self._now(), reason or "no reason is known")
        self._repeat(lambda: self._stop(self._look(version), version, stop))

    def stopped(self, version: str) -> Stop | None:
        """The stop of the version, also one of this machine's own."""
        (found,) = self._etcd.look(wire.get(self.keys.stop(version))).found
        return stop_of(found[0].value) if found else None

    def wait(self, seconds: float) -> None:
        """After ``acquire`` was answered with Waiting: until it may be answered otherwise, at most so long."""
        if self._watch is not None:
            key, revision = self._watch
            self._etcd.wait_for_change([key], revision, seconds)

    def _repeat(self, step: Callable[[], T | None]) -> T:
        return repeat(self.keys.semaphore, step, self._doubt, clock=self._clock, rest=self._rest)

    def _doubt(self) -> None:
        self._sure, self._mine = False, None

    def _look(self, version: str) -> _Seen:
        keys, own = self.keys, self.machine
        place = self._place
        before = wire.get_before(keys.tickets, place or 1 << 62, COUNTED if place else 1)
        gets = [wire.get(keys.semaphore), wire.get(keys.record(own)), wire.get(keys.ticket(own)), before]
        answer = self._etcd.look(*gets, *([wire.get(keys.stop(version))] if version else []))
        found = answer.found
        semaphore, revision = document(keys.semaphore, found[0])
        ticket = found[2][0] if found[2] else None
        if ticket is not None and ticket.created != place:
            self._place, self._lease = ticket.created, ticket.lease
            return self._look(version)
        if ticket is None and place:
            self._place = 0
            return self._look(version)
        record = record_of(found[1][0].key, found[1][0].value) if found[1] else None
        stop = stop_of(found[4][0].value) if version and found[4] else None
        ahead = tuple(entry.key for entry in found[3])
        return _Seen(semaphore, revision, answer.revision, record, ticket, ahead, stop)

    def _step(self, seen: _Seen, version: str) -> Held | Waiting | None:
        """One step towards a place. None: look again."""
        if self.machine in seen.semaphore.holders:
            return self._go_on(seen, version)
        if seen.stop is not None:
            return self._stay_out(seen, version, seen.stop)
        free = seen.semaphore.available or (self._expiry and self._reap(seen))
        if free and (len(seen.before) < free if seen.ticket else not seen.before):
            return self._take(seen, version)
        if seen.ticket is None:
            return self._step(self._look(version), version) if self._join(seen, version) else None
        return self._wait_in_line(seen)

    def _leave(self) -> bool | None:
        keys, own = self.keys, self.machine
        # Where nobody has changed the document since this machine took its place, nothing needs to be looked up.
        mine, self._mine = self._mine, None
        seen = mine if mine is not None and own in mine.semaphore.holders else self._look("")
        semaphore = seen.semaphore
        holding = own in semaphore.holders
        if not holding and seen.ticket is None and self._sure:
            return True
        semaphore = semaphore.unlocked(own) if holding else semaphore
        gone = [keys.record(own), keys.ticket(own), *([keys.life(own)] if self._expiry else [])]
        if not self._write(seen, semaphore, list(map(wire.delete, gone))):
            return None
        self._place = 0
        return True

    def _stop(self, seen: _Seen, version: str, stop: Stop) -> bool | None:
        keys, own = self.keys, self.machine
        writes = [] if seen.stop is not None else [wire.put(keys.stop(version), stop_to_bytes(stop))]
        if own in seen.semaphore.holders:
            since = seen.record.since if seen.record else None
            record = Record(own, since or stop.when, version, stop.why)
            if record != seen.record:
                writes += [wire.put(keys.record(own), record.to_bytes()), wire.delete(keys.life(own))]
        return not writes or self._write(seen, seen.semaphore, writes) or None

    def _go_on(self, seen: _Seen, version: str) -> Held | None:
        """This machine has a place: make sure that it stays so, and that its record says what it is for."""
        record = seen.record or Record(self.machine, self._now(), version)
        kept = record.rolled_back if version == record.version else ""
        wanted = replace(record, version=version, rolled_back=kept, expires=bool(self._expiry) and not kept)
        if self._sure and seen.record == wanted:
            return Held(wanted.since)
        keys = self.keys
        writes = [
            wire.put(keys.record(self.machine), wanted.to_bytes()),
            wire.delete(keys.ticket(self.machine)),
            *([self._live()] if wanted.expires else []),
        ]
        if not self._write(seen, seen.semaphore, writes):
            return None
        self._note(seen.semaphore, wanted)
        return Held(wanted.since)

    def _take(self, seen: _Seen, version: str) -> Held | None:
        keys, own, now = self.keys, self.machine, self._now()
        semaphore = seen.semaphore.locked(own)
        record = Record(own, now, version, expires=bool(self._expiry))
        writes = [wire.put(keys.record(own), record.to_bytes())]
        if self._expiry:
            writes.append(self._live())
        if seen.ticket is not None:
            compare = wire.created_at(keys.ticket(own), seen.ticket.created)
            writes.append(wire.delete(keys.ticket(own)))
        else:
            compare = wire.created_at(keys.tickets, 0)
        more = [wire.created_at(keys.stop(version), 0)] if version else []
        if not self._write(seen, semaphore, writes, compare, *more):
            return None
        self._place = 0
        self._note(semaphore, record)
        return Held(now)

    def _live(self) -> Json:
        """A sign of life, after whose time the place ends."""
        return wire.put(self.keys.life(self.machine), b"", self._etcd.grant(int(self._expiry.total_seconds())))

    def _stay_out(self, seen: _Seen, version: str, stop: Stop) -> Waiting | None:
        """The version is stopped: whoever waits for another one is not kept waiting by this machine."""
        if seen.ticket is not None or not self._sure:
            if not self._write(seen, seen.semaphore, [wire.delete(self.keys.ticket(self.machine))]):
                return None
            self._place = 0
        self._watch = self.keys.stop(version), seen.store + 1
        told = f": {stop.why}" if stop.why else ""
        return Waiting(f"version {version} is stopped: machine {stop.who} rolled it back{told}", 0)

    def _join(self, seen: _Seen, version: str) -> bool:
        """A ticket, at the end of the queue. One that is made later, by a member that wakes up, is none once this machine went on."""
        key = self.keys.ticket(self.machine)
        value = Record(self.machine, self._now(), version).to_bytes()
        self._renew()
        if not self._lease:
            self._lease, self._renewed = self._etcd.grant(int(self._ticket_time.total_seconds())), self._clock()
        try:
            compare = [wire.modified_at(self.keys.semaphore, seen.revision), wire.created_at(key, 0)]
            return self._etcd.change(compare, [wire.put(key, value, self._lease)]).succeeded
        except LeaseGoneError:
            self._lease = 0
            return False

    def _wait_in_line(self, seen: _Seen) -> Waiting:
        self._renew()
        ahead, semaphore = len(seen.before), seen.semaphore
        # The first waits for a place; whoever comes after it, for the one before: it moves when that one does.
        key = seen.before[-1] if ahead else self.keys.semaphore
        self._watch = key, seen.store + 1
        holders = ", ".join(semaphore.holders[:3]) + (", ..." if len(semaphore.holders) > 3 else "")
        more = "" if len(semaphore.holders) <= semaphore.max else f", more than the {semaphore.max} that may"
        reason = f"{len(semaphore.holders)} of {semaphore.max} places are taken{more}: {holders}"
        if semaphore.available:
            reason = f"{ahead} machines wait before this one"
        return Waiting(reason, ahead)

    def _renew(self) -> None:
        """Begin the time of the ticket anew, where a third of it is over."""
        if self._lease and self._clock() - self._renewed >= self._ticket_time.total_seconds() / 3:
            try:
                self._etcd.keep_alive(self._lease)
                self._renewed = self._clock()
            except LeaseGoneError:
                self._lease = 0

    def _reap(self, seen: _Seen) -> int:
        """Take their places from machines whose time is over; 0, as the next look finds the places."""
        keys = self.keys
        found = self._etcd.look(wire.get(keys.records), wire.get(keys.lives)).found
        alive = {entry.key.rpartition("/")[2] for entry in found[1]}
        records = [record_of(entry.key, entry.value) for entry in found[0] if entry.key.rpartition("/")[2] not in alive]
        gone = [one.machine for one in records if one.expires and one.machine in seen.semaphore.holders]
        semaphore = seen.semaphore
        for machine in gone:
            semaphore = semaphore.unlocked(machine)
        if gone:
            writes = [wire.delete(keys.record(one)) for one in gone]
            # A life that began again since the look is that of a machine that took its place again.
            self._write(seen, semaphore, writes, *(wire.created_at(keys.life(one), 0) for one in gone))
        return 0

    def _write(self, seen: _Seen, semaphore: Semaphore, writes: list[Json], *compare: Json) -> bool:
        """Write the document and more, unless it was changed since the look. Raises LockAmbiguousError."""
        key = self.keys.semaphore
        compares = [wire.modified_at(key, seen.revision), *compare]
        done = self._etcd.change(compares, [wire.put(key, semaphore.to_bytes()), *writes])
        if done.succeeded:
            self._sure, self._mine, self._written = True, None, done.revision
        return done.succeeded

    def _note(self, semaphore: Semaphore, record: Record) -> None:
        """Remember what was just written about this machine's own place."""
        self._mine = _Seen(semaphore, self._written, self._written, record, None, (), None)
