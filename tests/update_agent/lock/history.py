"""A judge of the lock that reads nothing but etcd's own history of revisions, as ``etcdctl watch`` writes it."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


def events(output: Path) -> Iterator[Event]:
    """Those in the output, in their order. A line that is not finished yet is not read."""
    for line in output.read_bytes().split(b"\n")[:-1]:
        if not line.strip():
            continue
        answer = json.loads(line)
        assert not answer.get("Canceled"), answer
        for event in answer.get("Events") or []:
            entry = event["kv"]
            deleted = event.get("type") in (1, "DELETE")
            value = None if deleted else b64decode(entry.get("value", ""))
            yield Event(int(entry["mod_revision"]), b64decode(entry["key"]).decode(), value)


def wait_for(output: Path, revision: int, seconds: float = 60.0) -> None:
    """Until the history goes so far."""
    end = time.monotonic() + seconds
    while max((event.revision for event in events(output)), default=0) < revision:
        assert time.monotonic() < end, f"{output}: no revision {revision}"
        time.sleep(0.2)


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
