"""What is still to be told to a server after a reboot, on the disk: which version ran before, and the reports that are owed.

It is written when an update begins and when its verdict is there, and a report is struck out when the server has taken it. So no kill and
no power cut loses one; a kill between the two sends one again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from update_agent.omaha.events import ROLLED_BACK, Event, rebooted
from update_agent.state.files import SystemFiles, make_folders, replace_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from update_agent.state.files import Files

NAME = "omaha.json"
"""The file in the folder of the state."""
FORMAT = 1
MOST = 8
"""Reports that are kept; the oldest go first."""
_LARGEST = 1 << 16


@dataclass(frozen=True)
class Letters:
    """``version`` is on its way and ``previous`` ran when it began; both are empty where none is. ``owed``: oldest first."""

    version: str = ""
    previous: str = ""
    owed: tuple[Event, ...] = ()


class Outbox:
    """In a folder. No method raises: a report is not worth an update, and ``tell`` is told what cannot be read or written."""

    def __init__(self, folder: Path, files: Files | None = None, tell: Callable[[str], None] = lambda _: None) -> None:
        self._folder, self._files, self._tell = str(folder), files or SystemFiles(), tell

    def begin(self, version: str, previous: str) -> None:
        """An update begins, or goes on."""
        letters = self._read()
        if letters.version != version:
            self._write(replace(letters, version=version, previous=previous))

    def owe(self, version: str, *, proved: bool) -> None:
        """The verdict on the version that was on its way; nothing for another one, and for one whose verdict is there."""
        letters = self._read()
        if letters.version == version != "":
            event = rebooted(letters.previous) if proved else ROLLED_BACK
            self._write(Letters(owed=(*letters.owed, event)[-MOST:]))

    def owed(self) -> tuple[Event, ...]:
        """What is to be delivered, oldest first."""
        return self._read().owed

    def delivered(self, events: tuple[Event, ...]) -> None:
        """The server has taken these, the oldest ones."""
        if events:
            letters = self._read()
            self._write(replace(letters, owed=letters.owed[len(events) :]))

    def _read(self) -> Letters:
        path = f"{self._folder}/{NAME}"
        try:
            return _parse(self._files.read(path, _LARGEST))
        except FileNotFoundError:
            return Letters()
        except (OSError, ValueError, RecursionError) as error:
            self._tell(f"{path}: what is owed to the server of updates cannot be read and is forgotten: {_why(error)}")
            return Letters()

    def _write(self, letters: Letters) -> None:
        try:
            make_folders(self._files, self._folder)
            text = json.dumps({"format": FORMAT, **asdict(letters)}, indent=1)
            replace_file(self._files, self._folder, NAME, text.encode("ascii") + b"\n")
        except OSError as error:
            self._tell(f"{self._folder}/{NAME}: what is owed to the server of updates cannot be written: {_why(error)}")


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _parse(data: bytes) -> Letters:
    """Fields that are not known are left alone. Raises ValueError."""
    found = json.loads(data)
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f"it has not the format {FORMAT}")
    version, previous, owed = found.get("version"), found.get("previous"), found.get("owed")
    if not isinstance(version, str) or not isinstance(previous, str) or not isinstance(owed, list):
        raise ValueError("its fields are not ours")  # noqa: TRY004
    return Letters(version, previous, tuple(map(_event, owed)))


def _event(found: object) -> Event:
    fields: dict[str, Any] = found if isinstance(found, dict) else {}
    kind, result, code, previous = (fields.get(name) for name in ("kind", "result", "code", "previous"))
    if type(kind) is not int or type(result) is not int or type(code) not in (int, type(None)):
        raise ValueError("a report is not one of ours")
    if not isinstance(previous, str | None):
        raise ValueError("a report is not one of ours")  # noqa: TRY004
    return Event(kind, result, code, previous)
