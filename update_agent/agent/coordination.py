"""Files under /run by which other programs learn that a reboot is due, and who decides when.

``/run/reboot-required`` and ``.pkgs`` are those of Debian and Ubuntu, which kured and others look for. ``coordinator.conf`` is that
of locksmith: while its writer lives, it holds an exclusive flock(2) on it, and shells that greet a user look for the lock.
"""

from __future__ import annotations

from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING

from update_agent.state.files import SystemFiles, make_folders, replace_file

if TYPE_CHECKING:
    from update_agent.state.files import Files

RUN = "/run"
REQUIRED, PACKAGES = "reboot-required", "reboot-required.pkgs"
FOLDER, COORDINATOR = "update-engine", "coordinator.conf"
NAME = "slotboot"
_REQUIRED_TEXT, _LINE = b"*** System restart required ***\n", f"{NAME}\n".encode()
_LARGEST = 1 << 20


class Stage(StrEnum):
    """How far who decides about the reboot has come, in the words of locksmith."""

    STARTING = "starting"
    RUNNING = "running"
    PLANNED = "reboot-planned"
    REBOOTING = "rebooting"


def require_reboot(run: str = RUN, files: Files | None = None) -> None:
    """Say that a reboot is due. Raises OSError. Each file appears whole; what packages say of others stays."""
    files = files or SystemFiles()
    replace_file(files, run, PACKAGES, b"".join([*_others(files, run), _LINE]))
    replace_file(files, run, REQUIRED, _REQUIRED_TEXT)


def release_reboot(run: str = RUN, files: Files | None = None) -> None:
    """Take back that a reboot is due. Raises OSError. Where other packages want one, theirs stays."""
    files = files or SystemFiles()
    others = _others(files, run)
    if others:
        replace_file(files, run, PACKAGES, b"".join(others))
        return
    for name in (REQUIRED, PACKAGES):
        with suppress(FileNotFoundError):
            files.unlink(f"{run}/{name}")


def _others(files: Files, run: str) -> list[bytes]:
    """The lines of other packages, each with its end."""
    try:
        data = files.read(f"{run}/{PACKAGES}", _LARGEST)
    except FileNotFoundError:
        return []
    return [line + b"\n" for line in data.split(b"\n") if line and line + b"\n" != _LINE]


class Coordinator:
    """Writes coordinator.conf, and holds its lock until ``close``."""

    def __init__(self, strategy: str, run: str = RUN, files: Files | None = None) -> None:
        self._strategy, self._folder, self._files = strategy, f"{run}/{FOLDER}", files or SystemFiles()
        self._held = -1

    def show(self, stage: Stage) -> None:
        """Write the stage. Raises OSError; the file is the old one then.

        The new file is locked before it has its name, so that nobody finds one without a lock.
        """
        text = f"NAME={NAME}\nSTRATEGY={self._strategy}\nSTATE={stage}\n"
        temporary = f"{self._folder}/.{COORDINATOR}.new"
        make_folders(self._files, self._folder)
        with suppress(FileNotFoundError):
            self._files.unlink(temporary)
        fd = self._files.lock(temporary)
        try:
            data = text.encode()
            while data:
                data = data[self._files.write(fd, data) :]
            self._files.rename(temporary, f"{self._folder}/{COORDINATOR}")
        except BaseException:
            self._files.close(fd)
            with suppress(OSError):
                self._files.unlink(temporary)
            raise
        self._release()
        self._held = fd

    def close(self) -> None:
        """Nobody decides any more: the file goes, and the lock with it. Raises OSError."""
        if self._held >= 0:
            with suppress(FileNotFoundError):
                self._files.unlink(f"{self._folder}/{COORDINATOR}")
            self._release()

    def _release(self) -> None:
        if self._held >= 0:
            self._files.close(self._held)
            self._held = -1
