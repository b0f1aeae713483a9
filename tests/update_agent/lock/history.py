"""A judge of the lock that reads nothing but etcd's own history of revisions, as ``etcdctl watch`` writes it."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.update_agent.lock.etcd import Cluster


@dataclass(frozen=True)
class Event:
    """A change of a key; ``value`` is None where it was deleted."""

    revision: int
    key: str
    value: bytes | None


@dataclass
class Verdict:
    """What was found: places taken, the most that were at once, and what must not be."""

    taken: list[str] = field(default_factory=list)
    most: int = 0
    revisions: int = 0
    wrong: list[str] = field(default_factory=list)


class History:
    """What ``etcdctl watch`` writes of the keys with a prefix, from the first revision on.

    A watch ends where its member loses the others. The next one begins after the last revision that was written whole: etcd writes
    the changes of a revision in one line. That nothing is missing is for the judge to find.
    """

    def __init__(self, cluster: Cluster, prefix: str, folder: Path) -> None:
        self._cluster, self._prefix, self._folder = cluster, prefix, folder
        self.events: list[Event] = []
        self.watches = 0
        self._read = 0
        self._begin()

    @property
    def revision(self) -> int:
        """The last one that was read."""
        return self.events[-1].revision if self.events else 0

    def tend(self) -> None:
        """Read what was written; begin again where the watch has ended."""
        ended = self._process.poll() is not None
        with self._path.open("rb") as file:
            file.seek(self._read)
            *lines, _ = file.read().split(b"\n")
        for line in filter(None, lines):
            answer = json.loads(line)
            ended = ended or bool(answer.get("Canceled"))
            self.events += map(_event, answer.get("Events") or [])
        self._read += sum(len(line) + 1 for line in lines)
        if ended:
            self.close()
            self._begin()

    def wait_for(self, revision: int, seconds: float = 60.0) -> None:
        """Until it goes so far."""
        end = time.monotonic() + seconds
        while self.revision < revision:
            assert time.monotonic() < end, f"no revision {revision} after {self.revision}"
            time.sleep(0.1)
            self.tend()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _begin(self) -> None:
        self.watches, self._read = self.watches + 1, 0
        self._path = self._folder / f"history.{self.watches}"
        self._process = self._cluster.watcher(self._prefix, self.revision + 1, self._path)


def _event(told: Mapping[str, Any]) -> Event:
    entry = told["kv"]
    deleted = told.get("type") in (1, "DELETE")
    return Event(
        int(entry["mod_revision"]),
        b64decode(entry["key"]).decode(),
        None if deleted else b64decode(entry.get("value", "")),
    )


def gaps(history: list[Event], first: int, last: int) -> list[str]:
    """Revisions that are missing between these, or not in their order. Only for a store with no other keys: each change is a revision."""
    revisions = sorted({event.revision for event in history})
    missing = sorted(set(range(first, last + 1)) - set(revisions))
    wrong = [f"{len(missing)} revisions are missing, the first is {missing[0]}"] if missing else []
    once = {(event.revision, event.key) for event in history}
    if len(once) != len(history) or [event.revision for event in history] != sorted(
        event.revision for event in history
    ):
        wrong.append("changes came twice, or not in their order")
    return wrong


def judge(history: list[Event], base: str) -> Verdict:
    """Each machine that is let in finds a free place, and fewer machines before it than places are free."""
    verdict = Verdict()
    tickets: dict[str, int] = {}
    holders: set[str] = set()
    number = 1
    by_revision: dict[int, list[Event]] = {}
    for event in history:
        by_revision.setdefault(event.revision, []).append(event)
    for revision, changes in sorted(by_revision.items()):
        verdict.revisions += 1
        before = dict(tickets)
        for event in changes:
            if event.key.startswith(f"{base}/queue/"):
                if event.value is None:
                    tickets.pop(event.key, None)
                else:
                    tickets.setdefault(event.key, revision)
        for event in changes:
            if event.key != f"{base}/semaphore" or event.value is None:
                continue
            document = json.loads(event.value)
            new = set(document["holders"] or [])
            _admitted(verdict, revision, new - holders, before, free=number - len(holders), base=base)
            if len(new) > max(document["max"], len(holders)) or (new - holders and len(new) > document["max"]):
                verdict.wrong.append(f"revision {revision}: {len(new)} holders, {document['max']} at most")
            if document["semaphore"] != max(0, document["max"] - len(new)) or list(document["holders"] or []) != sorted(
                new
            ):
                verdict.wrong.append(f"revision {revision}: {event.value!r}")
            holders, number = new, document["max"]
            verdict.most = max(verdict.most, len(holders))
    return verdict


def _admitted(verdict: Verdict, revision: int, new: set[str], tickets: dict[str, int], *, free: int, base: str) -> None:
    for machine in new:
        own = tickets.get(f"{base}/queue/{machine}")
        ahead = sum(1 for created in tickets.values() if own is None or created < own)
        if ahead >= free:
            verdict.wrong.append(
                f"revision {revision}: {machine} was let in before {ahead} others, with {free} places free"
            )
        verdict.taken.append(machine)
