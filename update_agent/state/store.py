"""The state on the disk: read strictly, written atomically, by one process at a time.

``state.json`` is the whole machine. ``verdicts.json`` is a copy of what must never be lost: the versions known to be bad, and the
one on trial. Where the state is damaged, or was written by a newer version that was rolled back since, the agent starts over from
the verdicts: a broken update is not installed again, and one that was on trial is judged by what the boot shows.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from update_agent.state.document import (
    FORMAT,
    DocumentError,
    NewerFormatError,
    Verdicts,
    decode_machine,
    decode_verdicts,
    encode_machine,
    encode_verdicts,
)
from update_agent.state.errors import (
    StateBusyError,
    StateDamagedError,
    StateError,
    StateNewerError,
    StateReadError,
    StateWriteError,
)
from update_agent.state.files import SystemFiles, flush_folder, make_folders, replace_file
from update_agent.state.machine import Machine, remember
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from update_agent.state.files import Files

STATE, VERDICTS, LOCK = "state.json", "verdicts.json", "lock"
"""The files, in the folder of the state (/var/lib/slotboot)."""
LARGEST = 16 << 20
"""Bytes of a file that is read; one with a thousand bad versions has less."""


class Loaded(NamedTuple):
    """A machine, and what was wrong with the files where it had to start over; empty otherwise."""

    machine: Machine
    problem: str


class Store:
    """The state in a folder. Reading needs no lock: files are replaced whole."""

    def __init__(self, folder: Path | str, files: Files | None = None) -> None:
        self.folder = str(folder)
        self._files = files or SystemFiles()

    @property
    def path(self) -> str:
        """The file of the state."""
        return f"{self.folder}/{STATE}"

    def load(self, now: datetime) -> Machine:
        """The machine. One that is idle since ``now``, or has its trial, where there is no state yet, or none any more.

        Raises StateDamagedError, StateNewerError and StateReadError. Nothing is written.
        """
        try:
            data = self._files.read(self.path, LARGEST)
        except FileNotFoundError:
            return self._over(now)[0]
        except OSError as error:
            raise _read_error(self.path, error) from error
        try:
            machine = decode_machine(data)
        except NewerFormatError as error:
            raise StateNewerError(self.path, error.found, FORMAT) from error
        except DocumentError as error:
            raise StateDamagedError(self.path, str(error)) from error
        verdicts, _ = self._verdicts()
        missing = [bad for bad in verdicts.bad if machine.known_bad(bad.version) is None]
        if not missing:
            return machine
        return replace(machine, bad=remember((), *missing, *machine.bad))

    def load_or_start_over(self, now: datetime) -> Loaded:
        """As ``load``; where the state is damaged, newer, or on a bad sector, what the verdicts know, and what was wrong.

        Raises StateReadError where nothing can be read at all, such as without the permission. Nothing is written.
        """
        try:
            return Loaded(self.load(now), "")
        except (StateDamagedError, StateNewerError) as error:
            problem: StateError = error
        except StateReadError as error:
            if error.errno not in (errno.EIO, errno.EFBIG):
                raise
            problem = error
        machine, worse = self._over(now)
        return Loaded(machine, "; ".join(str(found) for found in (problem, worse) if found))

    @contextmanager
    def claim(self) -> Iterator[Writer]:
        """The only writer, until the end of the block; the folder is made where it is missing.

        What is loaded in the block is on stable storage, also where whoever wrote it was killed in the middle. Raises StateBusyError where another process has it, StateWriteError where it cannot be had.
        """
        path = f"{self.folder}/{LOCK}"
        try:
            make_folders(self._files, self.folder)
            fd = self._files.lock(path)
        except BlockingIOError as error:
            raise StateBusyError(self.folder) from error
        except OSError as error:
            raise StateWriteError(error.filename or path, error.strerror or str(error)) from error
        try:
            self._flush()
            yield Writer(self.folder, self._files)
        finally:
            self._files.close(fd)

    def _flush(self) -> None:
        try:
            flush_folder(self._files, self.folder)
        except OSError as error:
            raise StateWriteError(self.folder, error.strerror or str(error)) from error

    def _verdicts(self) -> tuple[Verdicts, StateError | None]:
        path = f"{self.folder}/{VERDICTS}"
        try:
            return decode_verdicts(self._files.read(path, LARGEST)), None
        except FileNotFoundError:
            return Verdicts(), None
        except OSError as error:
            return Verdicts(), _read_error(path, error)
        except DocumentError as error:
            return Verdicts(), StateDamagedError(path, str(error))

    def _over(self, now: datetime) -> tuple[Machine, StateError | None]:
        """What the verdicts know: idle, or with a version on trial, whose slot is armed or not (``resume`` sees which)."""
        verdicts, problem = self._verdicts()
        machine = Machine(since=now.replace(microsecond=0), bad=remember((), *verdicts.bad))
        trial = verdicts.trial
        if trial is not None:
            state, event = State.INSTALLING, Happening.VERIFIED
            machine = replace(machine, state=state, event=event, version=trial.version, slot=trial.slot)
        return machine, problem


class Writer:
    """Writes the state; made by ``Store.claim``."""

    def __init__(self, folder: str, files: Files) -> None:
        self._folder, self._files = folder, files

    def save(self, machine: Machine) -> None:
        """Write the machine. Raises StateWriteError.

        After an error, a kill or a power cut at any point the next ``load`` gives the old machine, the new one, or the old one with
        the new bad versions; once this has returned, the new one. The verdicts go first, so that a bad version is never lost.
        """
        verdicts = encode_verdicts(Verdicts.of(machine))
        name = VERDICTS
        try:
            if self._now(VERDICTS) != verdicts:
                replace_file(self._files, self._folder, VERDICTS, verdicts)
            name = STATE
            replace_file(self._files, self._folder, STATE, encode_machine(machine))
        except OSError as error:
            raise StateWriteError(f"{self._folder}/{name}", error.strerror or str(error)) from error

    def _now(self, name: str) -> bytes:
        try:
            return self._files.read(f"{self._folder}/{name}", LARGEST)
        except OSError:
            return b""


def _read_error(path: str, error: OSError) -> StateReadError:
    return StateReadError(path, error.strerror or str(error), error.errno)
