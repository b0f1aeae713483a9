"""Health checks of the running system, by greenboot's conventions.

``required.d/*`` must all succeed before a slot is good; ``wanted.d/*`` are only reported. Each is an executable file, run in
the order of its name. Then ``green.d/*`` run when all required checks passed, ``red.d/*`` when not. Files directly in the
folder count as required ones.
"""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FOLDERS = (Path("/usr/lib/bootselect/health.d"), Path("/etc/bootselect/health.d"))
"""Checks of the vendor and of the administrator; one in the latter replaces the one of the same name in the former."""
DEFAULT_TIMEOUT = 60.0
"""Seconds for each check."""
REQUIRED, WANTED, GREEN, RED = "required", "wanted", "green", "red"


@dataclass(frozen=True)
class Outcome:
    """One check: ``problem`` is empty when it passed; ``output`` is what it printed."""

    path: Path
    kind: str
    problem: str
    output: str

    @property
    def name(self) -> str:
        """The name of the check's file."""
        return self.path.name


@dataclass(frozen=True)
class Health:
    """All checks that ran, in their order."""

    outcomes: tuple[Outcome, ...]

    @property
    def failed(self) -> list[Outcome]:
        """The required checks that did not pass: with one of these the slot is not good."""
        return [outcome for outcome in self.outcomes if outcome.kind == REQUIRED and outcome.problem]


def find_checks(kind: str, folders: Iterable[Path] = FOLDERS) -> list[Path]:
    """The executable files of a kind, by name; those of later folders replace those of earlier ones."""
    found = {}
    for folder in folders:
        places = [folder / f"{kind}.d", *([folder] if kind == REQUIRED else [])]
        for place in places:
            if place.is_dir():
                found.update({path.name: path for path in place.iterdir() if path.is_file()})
    return [found[name] for name in sorted(found) if os.access(found[name], os.X_OK)]


def check_health(folders: Iterable[Path] = FOLDERS, timeout: float = DEFAULT_TIMEOUT) -> Iterator[Outcome]:
    """Run every required and wanted check, each for at most ``timeout`` seconds, and then those for the result."""
    folders = tuple(folders)
    healthy = True
    for kind in (REQUIRED, WANTED):
        for path in find_checks(kind, folders):
            outcome = _run(path, kind, timeout)
            healthy = healthy and not (kind == REQUIRED and outcome.problem)
            yield outcome
    result = GREEN if healthy else RED
    for path in find_checks(result, folders):
        yield _run(path, result, timeout)


def _run(path: Path, kind: str, timeout: float) -> Outcome:
    try:
        process = subprocess.Popen(
            # Absolute: the interpreter of a script gets its path as an argument.
            [str(path.absolute())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        return Outcome(path, kind, f"cannot be run: {error.strerror}", "")
    with process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            # The whole session: a check that waits for a child would keep its output open.
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            problem = f"took longer than {timeout:g} s"
        else:
            problem = f"exited with {process.returncode}" if process.returncode else ""
    return Outcome(path, kind, problem, output.decode("utf-8", "replace").strip())
