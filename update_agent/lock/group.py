"""A group as a person sees it: who holds a place, who waits, which versions are stopped; and what a person changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from update_agent.lock import wire
from update_agent.lock.errors import LockUnreachableError, NotStoppedError
from update_agent.lock.keys import Keys
from update_agent.lock.records import Record, name_in, record_of, stop_of
from update_agent.lock.repeat import repeat
from update_agent.lock.semaphore import Semaphore, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from update_agent.lock.coordinator import Stop
    from update_agent.lock.etcd import Etcd
    from update_agent.lock.wire import Entry, Json


@dataclass(frozen=True)
class View:
    """A group at one moment. ``revision`` is that of the document (0: there is none), ``stale``: another member may know better.

    ``holders`` and ``waiting`` have a record each, those that wait in their order. ``stops`` are those of the versions.
    """

    semaphore: Semaphore
    revision: int
    holders: tuple[Record, ...]
    waiting: tuple[Record, ...]
    stops: Mapping[str, Stop]
    stale: bool = False


def document(key: str, found: tuple[Entry, ...]) -> tuple[Semaphore, int]:
    """The document and its revision. Raises DocumentError."""
    return (parse(key, found[0].value), found[0].modified) if found else (Semaphore(), 0)


class Group:
    """One group in one etcd. Raises GroupError, and all its methods LockError."""

    def __init__(self, etcd: Etcd, name: str = "") -> None:
        self.keys, self._etcd = Keys(name), etcd

    def view(self) -> View:
        """What holds; where no majority can be reached, what one member knows."""
        keys = self.keys
        gets = [wire.get(key) for key in (keys.semaphore, keys.records, keys.tickets, keys.stops)]
        try:
            found, stale = self._etcd.look(*gets).found, False
        except LockUnreachableError:
            found, stale = self._etcd.look_at_any(*gets).found, True
        semaphore, revision = document(keys.semaphore, found[0])
        records = {one.machine: one for one in (record_of(entry.key, entry.value) for entry in found[1])}
        holders = tuple(records.get(machine, Record(machine)) for machine in semaphore.holders)
        waiting = tuple(record_of(entry.key, entry.value) for entry in found[2])
        stops = {name_in(one.key): stop_of(one.value) for one in found[3]}
        return View(semaphore, revision, holders, waiting, stops, stale)

    def set_max(self, number: int) -> tuple[Semaphore, Semaphore]:
        """So many machines at once. The document before and after. Raises MaxError."""
        return self._change(lambda old: old.with_max(number), again=lambda old: old.with_max(number))

    def lock(self, machine: str, now: datetime) -> None:
        """A place for a machine, before all that wait. Raises HolderExistsError and NoPlaceError."""

        def again(old: Semaphore) -> Semaphore:
            return old if machine in old.holders else old.locked(machine)

        keys, record = self.keys, Record(machine, now)
        also = [wire.put(keys.record(machine), record.to_bytes()), wire.delete(keys.ticket(machine))]
        self._change(lambda old: old.locked(machine), again=again, also=also)

    def unlock(self, machine: str) -> None:
        """Take a machine's place from it, whatever it says. Raises NoHolderError."""

        def again(old: Semaphore) -> Semaphore:
            return old.unlocked(machine) if machine in old.holders else old

        keys = self.keys
        also = [wire.delete(keys.record(machine)), wire.delete(keys.life(machine))]
        self._change(lambda old: old.unlocked(machine), again=again, also=also)

    def clear(self, version: str) -> tuple[str, ...]:
        """Let machines start on a version again; those that kept their places because of it, and have lost them now.

        Raises NotStoppedError.
        """
        doubts: list[None] = []

        def step() -> tuple[str, ...] | None:
            view = self.view_for_change()
            if version not in view.stops:
                if doubts:
                    return ()
                raise NotStoppedError(version)
            kept = tuple(one.machine for one in view.holders if one.rolled_back and one.version == version)
            return kept if self._etcd.change(*self._clearing(view, version, kept)).succeeded else None

        return repeat(self.keys.semaphore, step, lambda: doubts.append(None))

    def view_for_change(self) -> View:
        """As ``view``, but never a stale one. Raises LockUnreachableError."""
        view = self.view()
        if view.stale:
            raise LockUnreachableError(dict.fromkeys(self._etcd.endpoints, "it cannot reach a majority of its cluster"))
        return view

    def _clearing(self, view: View, version: str, kept: tuple[str, ...]) -> tuple[list[Json], list[Json]]:
        keys, semaphore = self.keys, view.semaphore
        for machine in kept:
            semaphore = semaphore.unlocked(machine)
        gone = [keys.stop(version), *map(keys.record, kept), *map(keys.life, kept)]
        writes = [wire.delete(key) for key in gone]
        if kept:
            writes.append(wire.put(keys.semaphore, semaphore.to_bytes()))
        return [wire.modified_at(keys.semaphore, view.revision)], writes

    def _change(
        self,
        change: Callable[[Semaphore], Semaphore],
        *,
        again: Callable[[Semaphore], Semaphore],
        also: list[Json] | None = None,
    ) -> tuple[Semaphore, Semaphore]:
        """Compare and swap until it is done. After an answer that stayed away, ``again`` is what is left to do."""
        key = self.keys.semaphore
        seen: list[Semaphore] = []
        doubts: list[None] = []

        def step() -> tuple[Semaphore, Semaphore] | None:
            old, revision = document(key, self._etcd.look(wire.get(key)).found[0])
            new = (again if doubts else change)(old)
            if not doubts:
                seen[:] = [old]
            writes = [wire.put(key, new.to_bytes()), *(also or [])]
            return (seen[0], new) if self._etcd.change([wire.modified_at(key, revision)], writes).succeeded else None

        return repeat(key, step, lambda: doubts.append(None))
