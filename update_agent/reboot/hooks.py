"""Programs of the machine's owner around a reboot: ``pre-reboot.d`` before it, ``post-good.d`` once the machine stays up.

They are found as systemd finds its own: the files of all folders in the order of their names; one in /etc stands in for one of the
same name in /usr/lib, and masks it where it is empty or a link to /dev/null. Hidden files, copies of editors and packages, and
files that begin with README are no hooks. Any other name is one, with an ending or without (run-parts would leave out ``10-a.sh``).
"""

from __future__ import annotations

import os
import re
import select
import signal
import stat
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gptlib.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

FOLDERS = (Path("/etc/slotboot"), Path("/usr/lib/slotboot"))
"""Where the hooks are, the strongest first."""
PRE_REBOOT, POST_GOOD = "pre-reboot", "post-good"
_NO_HOOK = re.compile(
    r"\..*|README.*|.*(~|\.(bak|old|new|orig|swp|rpmnew|rpmsave|rpmorig|ignore|dpkg-[a-z]+|ucf-[a-z]+))"
)
_SYSTEMD = Path("/run/systemd/system")
_PAUSE, _GRACE = 0.1, 5.0
_BLOCK = 1 << 14


@dataclass(frozen=True)
class Runner:
    """How hooks are run. ``alive`` is called meanwhile, several times a second; where ``stopped`` says so, the hook is ended.

    Where systemd runs, each hook is a transient service: nothing of the agent's confinement holds for it, and what it prints is in
    the journal as that of ``slotboot-hook``. Elsewhere it is a child in a session of its own, and what it prints is told.
    """

    tell: Callable[[str], None]
    folders: Sequence[Path] = FOLDERS
    systemd: Path = _SYSTEMD
    alive: Callable[[], None] = lambda: None
    stopped: Callable[[], bool] = lambda: False
    clock: Callable[[], float] = time.monotonic

    def run(self, event: str, variables: Mapping[str, str], seconds: float, *, all_of_them: bool = False) -> str:
        """Run the hooks of an event one after the other, for so long in all. What went wrong; empty for nothing.

        The first one that fails is the last one, but where ``all_of_them`` are to be run. One that is no program fails.
        """
        problems, end = [], self.clock() + seconds
        for path in find_hooks(event, self.folders):
            problem = self._run(path, event, variables, end)
            if problem:
                problems.append(f"{path}: {problem}")
                if not all_of_them or self.stopped():
                    break
        return printable("; ".join(problems))

    def _run(self, path: Path, event: str, variables: Mapping[str, str], end: float) -> str:
        left = end - self.clock()
        if not os.access(path, os.X_OK):
            return "it is no program; 'chmod +x' makes it one, an empty file of this name in /etc takes it out"
        if left <= 0:
            return "there was no time left for it"
        unit = _unit(event, path) if self.systemd.is_dir() else ""
        if unit:
            # Of an agent that was ended meanwhile.
            _stop(unit)
        argv = _transient(unit, path, variables, left) if unit else [str(path)]
        outlet, inlet = os.pipe()
        printed = _Printed(outlet, lambda line: self.tell(f"{event} {path.name}: {line}"))
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=inlet,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **variables},
            )
        except OSError as error:
            printed.close()
            return f"it cannot be run: {error.strerror}"
        finally:
            os.close(inlet)
        try:
            problem = self._wait(process, printed, end)
            if problem and unit:
                _stop(unit)
        finally:
            _end(process)
            printed.close()
        return problem or (f"it ended with {_status(process.returncode)}" if process.returncode else "")

    def _wait(self, process: subprocess.Popen[bytes], printed: _Printed, end: float) -> str:
        while process.poll() is None:
            printed.read(_PAUSE)
            self.alive()
            if self.stopped():
                return "it was stopped, since a person cancelled the update"
            if self.clock() >= end:
                return "it took longer than it may"
        return ""


class _Printed:
    """What a process prints, line by line; its children may keep the pipe open, and nobody waits for them."""

    def __init__(self, pipe: int, tell: Callable[[str], None]) -> None:
        self._pipe, self._tell, self._rest, self._open = pipe, tell, b"", True
        os.set_blocking(pipe, False)

    def read(self, seconds: float) -> None:
        """What comes within so long."""
        if not self._open:
            time.sleep(seconds)
        elif select.select([self._pipe], [], [], seconds)[0]:
            self._take()

    def close(self) -> None:
        """What is there still."""
        while self._open and select.select([self._pipe], [], [], 0)[0] and self._take():
            pass
        if self._rest:
            self._tell(self._rest.decode("utf-8", "replace"))
        os.close(self._pipe)

    def _take(self) -> bool:
        try:
            data = os.read(self._pipe, _BLOCK)
        except BlockingIOError:
            return False
        self._open = bool(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        # A line without an end is cut, so that nothing grows without limit.
        while len(self._rest) > _BLOCK:
            lines, self._rest = [*lines, self._rest[:_BLOCK]], self._rest[_BLOCK:]
        for line in lines:
            self._tell(line.decode("utf-8", "replace"))
        return self._open


def _end(process: subprocess.Popen[bytes]) -> None:
    """What the hook started goes with it; first kindly."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)


def find_hooks(event: str, folders: Iterable[Path] = FOLDERS) -> list[Path]:
    """The hooks of an event in their order, programs or not."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in _files(folder / f"{event}.d"):
            found.setdefault(path.name, path)
    return [found[name] for name in sorted(found) if not _masked(found[name])]


def _files(folder: Path) -> Iterator[Path]:
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return
    for path in paths:
        if not _NO_HOOK.fullmatch(path.name) and not path.is_dir():
            yield path


def _masked(path: Path) -> bool:
    """Empty, or /dev/null. A link that leads nowhere is a mistake, which is told when it is run."""
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISCHR(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_size == 0)


def _unit(event: str, path: Path) -> str:
    """Always the same for a hook, so that it never runs twice at once."""
    return f"slotboot-{event}-{re.sub('[^A-Za-z0-9_.-]', '_', path.name)}.service"


def _stop(unit: str) -> None:
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(["systemctl", "stop", unit], check=False, capture_output=True, timeout=4 * _GRACE)


def _transient(unit: str, path: Path, variables: Mapping[str, str], seconds: float) -> list[str]:
    """The command that has systemd run a hook, and waits for it. systemd ends the hook even where this process is gone."""
    return [
        "systemd-run",
        "--quiet",
        "--wait",
        "--collect",
        "--service-type=exec",
        f"--unit={unit}",
        f"--description=Hook {path} of slotboot",
        "--property=SyslogIdentifier=slotboot-hook",
        f"--property=RuntimeMaxSec={int(seconds) + 5}s",
        "--property=TimeoutStopSec=5s",
        *(f"--setenv={name}={value}" for name, value in variables.items()),
        "--",
        str(path),
    ]


def _status(code: int) -> str:
    return signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
