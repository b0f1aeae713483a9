"""What stands beside locksmith's document, as JSON: tickets, records of holders, stops. For people; nothing is decided by their times."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

from update_agent.lock.coordinator import Stop

_LONGEST = 1000
"""Letters of a reason."""


@dataclass(frozen=True)
class Record:
    """A machine that holds or waits: since when, for which version. ``rolled_back``: it keeps its place for that reason.

    ``expires``: its place ends when its sign of life does.
    """

    machine: str
    since: datetime | None = None
    version: str = ""
    rolled_back: str = ""
    expires: bool = False

    def to_bytes(self) -> bytes:
        """As it stands at its key, which names the machine."""
        fields: dict[str, Any] = {"since": None if self.since is None else written(self.since), "version": self.version}
        if self.rolled_back:
            fields["rolled-back"] = self.rolled_back[:_LONGEST]
        if self.expires:
            fields["expires"] = True
        return _dumps(fields)


def record_of(key: str, value: bytes) -> Record:
    """What can be read of a record; whoever wrote it, its machine is known by the key."""
    machine, fields = name_in(key), _loads(value)
    return Record(
        machine,
        read_time(fields.get("since")),
        _text(fields.get("version")),
        _text(fields.get("rolled-back")),
        fields.get("expires") is True,
    )


def stop_to_bytes(stop: Stop) -> bytes:
    """As it stands at its key, which names the version."""
    fields = {"machine": stop.who, "since": written(stop.when), "reason": stop.why[:_LONGEST]}
    return _dumps(fields)


def name_in(key: str) -> str:
    """The machine or the version that a key is of."""
    return unquote_plus(key.rpartition("/")[2])


def stop_of(value: bytes) -> Stop:
    """A stop stops, whatever can be read of it."""
    fields = _loads(value)
    since = read_time(fields.get("since")) or datetime.fromtimestamp(0, UTC)
    return Stop(_text(fields.get("machine")), since, _text(fields.get("reason")))


def written(moment: datetime) -> str:
    """A time in whole seconds, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_time(text: object) -> datetime | None:
    """None for what is no time."""
    try:
        moment = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _dumps(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def _loads(value: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(value)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}
