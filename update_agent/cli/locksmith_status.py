"""What ``locksmithctl status`` says of a group beyond what locksmith's own command did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.config.kinds import show_duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from update_agent.lock.group import View
    from update_agent.lock.records import Record

_SHOWN = 5


def fields_of(view: View, group: str) -> dict[str, object]:
    """The group, for scripts. Times are of RFC 3339, in UTC."""
    return {
        "group": group,
        "available": view.semaphore.available,
        "max": view.semaphore.max,
        "holders": [_record(one) for one in view.holders],
        "waiting": [_record(one) for one in view.waiting],
        "stops": [
            {"version": version, "machine": stop.who, "since": stop.when.isoformat(), "reason": stop.why}
            for version, stop in view.stops.items()
        ],
        "stale": view.stale,
    }


def notes_of(view: View, now: datetime) -> Iterator[str]:
    """Lines for people."""
    if view.stale:
        yield "This may be old: it is what one member of etcd knows, which cannot reach a majority of its cluster."
    for one in view.holders:
        why = _why(one)
        if one.since is not None or why:
            since = f" since {_when(one.since)} ({_age(now, one.since)})" if one.since is not None else ""
            yield f"{one.machine} has its place{since}{why}"
    if view.waiting:
        more = ", ..." if len(view.waiting) > _SHOWN else ""
        yield f"{len(view.waiting)} waiting: {', '.join(one.machine for one in view.waiting[:_SHOWN])}{more}"
    for version, stop in view.stops.items():
        told = f": {stop.why}" if stop.why else ""
        yield (
            f"Nobody starts on version {version}: {stop.who} rolled it back at {_when(stop.when)}{told}; "
            f"'locksmithctl clear {version}' ends this"
        )


def _record(one: Record) -> dict[str, object]:
    return {
        "machine": one.machine,
        "since": None if one.since is None else one.since.isoformat(),
        "version": one.version or None,
        "rolled-back": one.rolled_back or None,
    }


def _why(one: Record) -> str:
    if one.rolled_back:
        return f", and keeps it: version {one.version} was rolled back: {one.rolled_back}"
    return f", for version {one.version}" if one.version else ""


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _age(now: datetime, since: datetime) -> str:
    """By two clocks, which need not agree."""
    return show_duration(now - since) if now >= since else "by a clock that is ahead of this one"
