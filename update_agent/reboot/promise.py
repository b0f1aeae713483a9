"""What this machine owes to others around a reboot, on the disk: a place in a lock that it may have, and hooks that it has run.

It is written before the place is asked for, and taken back after it was given back, so that no kill and no power cut leaves a place
or a drained machine that nobody knows of.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from update_agent.reboot.errors import PromiseError
from update_agent.state.files import SystemFiles, flush_folder, make_folders, replace_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from update_agent.state.files import Files

NAME = "reboot.json"
"""The file in the folder of the state."""
_LARGEST = 1 << 16


class Verdict(StrEnum):
    """What came of the version that the reboot was for."""

    NONE = ""
    GOOD = "good"
    ROLLED_BACK = "rolled-back"


@dataclass(frozen=True)
class Promise:
    """``kind`` is that of the lock in which the machine may have a place for ``version``, empty for none.

    ``undrain``: post-good.d is still to be run, since pre-reboot.d was begun or the version is good. ``kept``: the others know of the
    rollback, and the place is kept.
    """

    version: str
    kind: str = ""
    undrain: bool = False
    verdict: Verdict = Verdict.NONE
    reason: str = ""
    kept: bool = False


class Book:
    """Where the promise is written down."""

    def __init__(self, folder: Path, files: Files | None = None, tell: Callable[[str], None] = lambda _: None) -> None:
        self._folder, self._files, self._tell = str(folder), files or SystemFiles(), tell

    def read(self) -> Promise | None:
        """The promise, None for none. One that cannot be read is told, and is none: the place stays until somebody unlocks it."""
        path = f"{self._folder}/{NAME}"
        try:
            return _parse(self._files.read(path, _LARGEST))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self._tell(
                f"{path}: it cannot be read: {error}; 'locksmithctl status' shows whether this machine has a place"
            )
            return None

    def write(self, promise: Promise | None) -> None:
        """Raises PromiseError: the old one stands, or the new one."""
        try:
            if promise is not None:
                make_folders(self._files, self._folder)
                replace_file(self._files, self._folder, NAME, json.dumps(asdict(promise)).encode() + b"\n")
                return
            with suppress(FileNotFoundError):
                self._files.unlink(f"{self._folder}/{NAME}")
                flush_folder(self._files, self._folder)
        except OSError as error:
            raise PromiseError(f"{self._folder}/{NAME}", error.strerror or str(error)) from error


def note_verdict(book: Book, version: str, verdict: Verdict, reason: str) -> None:
    """What came of a version that was rebooted into, by whomever. Raises PromiseError."""
    old = book.read() or Promise(version)
    undrain = old.undrain or verdict is Verdict.GOOD
    book.write(replace(old, version=version, verdict=verdict, reason=reason, undrain=undrain, kept=False))


def _parse(data: bytes) -> Promise:
    found = json.loads(data)
    names = {field.name: type(getattr(Promise(""), field.name)) for field in fields(Promise)}
    names["verdict"] = str
    if type(found) is not dict or {name: type(value) for name, value in found.items()} != names:
        raise ValueError("it is no promise of ours")
    return Promise(**{**found, "verdict": Verdict(found["verdict"])})
