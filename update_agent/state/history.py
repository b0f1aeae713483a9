"""What happened to the updates of this machine: a file of JSON lines, one a record, oldest first.

``history.jsonl`` is only added to. Once a record would take it beyond half of its limit, it becomes ``history.1.jsonl``, by one rename, and a new
one begins. A power cut can tear the last line, and nothing else; a torn line is passed over, and the next record begins a new one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from update_agent.state.document import DocumentError, moment, parse_moment, parse_object
from update_agent.state.errors import HistoryWriteError, StateReadError
from update_agent.state.files import SystemFiles, flush_folder, make_folders, write_file
from update_agent.state.transitions import Happening

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from update_agent.state.files import Files
    from update_agent.state.machine import Machine

HISTORY, EARLIER = "history.jsonl", "history.1.jsonl"
SMALLEST = 16 << 10
"""Bytes: a limit that is lower would not hold a few records."""
WORDS = {
    Happening.REFUSE: "refused",
    Happening.FAIL: "failed",
    Happening.VERIFIED: "installed",
    Happening.ARM: "armed",
    Happening.BOOTED: "booted",
    Happening.PROVED: "proved",
    Happening.ROLL_BACK: "rolled-back",
    Happening.CANCEL: "cancelled",
    Happening.WITHDRAW: "withdrawn",
}
"""What is recorded -> the word in the history."""


class Record(NamedTuple):
    """``what`` happened (``WORDS``; a newer version may have more) to a version, when (UTC), and why."""

    at: datetime
    what: str
    version: str
    reason: str = ""


class Read(NamedTuple):
    """The records, oldest first, and the number of lines that are none."""

    records: tuple[Record, ...]
    damaged: int


def record_of(machine: Machine) -> Record | None:
    """The record that belongs to what led the machine to where it is; None where that is not worth one."""
    word = WORDS.get(machine.event)
    return None if word is None else Record(machine.since, word, machine.version or "", machine.reason)


class History:
    """The records in a folder; ``limit`` in bytes is that of both files together."""

    def __init__(self, folder: Path | str, limit: int, files: Files | None = None) -> None:
        self.folder, self._limit = str(folder), max(limit, SMALLEST)
        self._files = files or SystemFiles()

    def read(self) -> Read:
        """All records. Raises StateReadError; lines that are none are counted."""
        lines = [line for name in (EARLIER, HISTORY) for line in self._data(name).split(b"\n") if line]
        found = [_decoded(line) for line in lines]
        records = tuple(record for record in found if record is not None)
        return Read(records, len(found) - len(records))

    def append(self, record: Record) -> bool:
        """Add a record; not where the last one says the same, whenever that was. Whether it was added.

        So it can be called again after a kill, and a reason that comes back with every check does not fill the history. Only the
        holder of the state's lock may call it. Raises HistoryWriteError and StateReadError. After an error, a kill or a power cut at any
        point all earlier records are there, and the new one or not; once this has returned, it is there for good.
        """
        now = self._data(HISTORY)
        last = next(filter(None, map(_decoded, reversed((self._data(EARLIER) + b"\n" + now).split(b"\n")))), None)
        new = last is None or last[1:] != record[1:]
        line = _encoded(record) if new else b""
        try:
            make_folders(self._files, self.folder)
            if now and len(now) + len(line) > self._limit // 2:
                self._files.rename(f"{self.folder}/{HISTORY}", f"{self.folder}/{EARLIER}")
                now = b""
            torn = b"\n" if line and now and not now.endswith(b"\n") else b""
            # Flushed also where nothing is new: whoever wrote the last record may have been killed before that.
            write_file(self._files, self._files.append(f"{self.folder}/{HISTORY}"), torn + line)
            flush_folder(self._files, self.folder)
        except OSError as error:
            raise HistoryWriteError(f"{self.folder}/{HISTORY}", error.strerror or str(error)) from error
        return new

    def _data(self, name: str) -> bytes:
        path = f"{self.folder}/{name}"
        try:
            return self._files.read(path, self._limit)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StateReadError(path, error.strerror or str(error), error.errno) from error


def _encoded(record: Record) -> bytes:
    fields = {"at": moment(record.at), "what": record.what, "version": record.version, "reason": record.reason}
    return json.dumps(fields).encode("ascii") + b"\n"


def _decoded(line: bytes) -> Record | None:
    """A record; None for a line that is none. Fields of a newer version are passed over."""
    try:
        fields = parse_object(line)
        values = [fields["what"], fields["version"], fields["reason"]]
        at = parse_moment(fields["at"])
    except (DocumentError, KeyError, TypeError, ValueError):
        return None
    return Record(at, *values) if all(isinstance(value, str) for value in values) else None
