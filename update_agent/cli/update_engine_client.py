"""``update_engine_client``: the program of CoreOS and Flatcar, to the byte of what it prints, for our agent.

The model is src/update_engine/update_engine_client.cc of flatcar/update_engine; the numbers beside the messages are its lines, as they are
printed before each of them (glog). What the model ends by abort(3) ends with 134, which is what a shell shows of it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from update_agent.agent.bus_client import BusClient, CallError, NoBusError, NoServiceError
from update_agent.agent.update_engine import NAME, Operation, Status, status_of, status_text
from update_agent.agent.view import view_of
from update_agent.cli.gflags import parse
from update_agent.errors import UpdateError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    class Service(Protocol):
        """The agent, as its D-Bus interface shows it; each method raises NoBusError and NoServiceError."""

        def require_service(self) -> None:
            """Whether it is there."""

        def attempt_update(self) -> None:
            """Ask for an update. Raises CallError."""

        def reset_status(self) -> None:
            """Reset. Raises CallError."""

        def get_status(self) -> Status:
            """The status. Raises CallError."""

        def watch(self, seen: Callable[[Status], None]) -> None:
            """Call ``seen`` for every signal, until the bus goes away."""


PROGRAM = "update_engine_client"
FLAGS = {
    "check_for_update": "Initiate check for updates.",
    "reset_status": "Sets the status in update_engine to idle.",
    "status": "Print the status to stdout.",
    "update": "Forces an update and waits for its completion. Exit status is 0 if the update succeeded, and 1 otherwise.",
    "watch_for_updates": "Listen for status updates and print them to the screen.",
}
TRIES, BETWEEN_TRIES, BETWEEN_LOOKS = 4, 10.0, 5.0
"""How often the service is looked for; seconds between that, and from one look at its status to the next."""
ABORTED = 134
_AFTER_RESET = (
    "ResetStatus succeeded; to undo partition table changes run:\n"
    "(D=$(rootdev -d) P=$(rootdev -s); cgpt p -i$(($(echo ${P#$D} | sed 's/^[^0-9]*//')-1)) $D;)"
)
_CODES = {
    "org.freedesktop.DBus.Error.Failed": 0,
    "org.freedesktop.DBus.Error.ServiceUnknown": 2,
    "org.freedesktop.DBus.Error.NameHasNoOwner": 3,
    "org.freedesktop.DBus.Error.NoReply": 4,
    "org.freedesktop.DBus.Error.AccessDenied": 9,
    "org.freedesktop.DBus.Error.Disconnected": 15,
    "org.freedesktop.DBus.Error.UnknownMethod": 19,
}
"""Numbers of errors in dbus-glib; others are 32, an error of the service's own."""


class _Exit(Exception):  # noqa: N818  (not an error)
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Client:
    """One run of the program. ``stored`` is the status from the file of the state, where the service does not run."""

    def __init__(
        self,
        service: Service,
        stored: Callable[[], Status],
        out: Callable[[str], None],
        err: Callable[[str], None],
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
        thread: int,
    ) -> None:
        self._service, self._stored, self._out, self._err = service, stored, out, err
        self._now, self._sleep, self._thread = now, sleep, thread

    def run(self, words: Sequence[str]) -> int:
        """Do what the command line says; the exit code."""
        flags = parse(words, FLAGS)
        if flags.help or flags.version:
            self._out(_usage() if flags.help else f"{PROGRAM}\n")
            return 1 if flags.help else 0
        if flags.mistakes:
            self._err("".join(f"{line}\n" for line in flags.mistakes))
            return 1
        try:
            return self._do(flags.on)
        except _Exit as end:
            return end.code
        except NoBusError as error:
            self._log("E", 46, f"Failed to get bus: GError(0): {error}")
            return 1

    def _do(self, on: frozenset[str]) -> int:
        if "reset_status" in on:
            return self._reset()
        if "status" in on:
            self._log("I", 241, "Querying Update Engine status...")
            self._show_status(self._status_or_stored())
        elif on.intersection(("check_for_update", "update")):
            self._log("I", 251, "Initiating update check and install.")
            self._attempt()
            if "update" in on:
                self._log("I", 256, "Waiting for update to complete.")
                return self._wait()
        elif "watch_for_updates" in on:
            self._log("I", 265, "Watching for status updates.")
            self._find_service()
            self._service.watch(self._seen)
            return 1
        else:
            self._log("I", 270, "Done.")
        return 0

    def _reset(self) -> int:
        self._log("I", 227, "Setting Update Engine status to idle ...")
        self._find_service()
        try:
            self._service.reset_status()
        except (CallError, NoServiceError):
            self._log("E", 229, "ResetStatus failed.")
            return 1
        self._log("I", 233, _AFTER_RESET)
        return 0

    def _attempt(self) -> None:
        self._find_service()
        try:
            self._service.attempt_update()
        except (CallError, NoServiceError) as error:
            text = f"Check failed: rc == TRUE (0 vs. 1) Error checking for update: {_glib(error)}"
            self._log("F", 182, f"{text}\n*** Check failure stack trace: ***")
            raise _Exit(ABORTED) from error

    def _wait(self) -> int:
        while True:
            self._sleep(BETWEEN_LOOKS)
            self._find_service()
            status = self._status()
            self._show_status(status)
            operation = status.operation if status else ""
            if operation == Operation.IDLE:
                self._log("I", 194, "No update available")
                return 0
            if operation == Operation.NEED_REBOOT:
                self._log("I", 198, "Update succeeded -- reboot needed.")
                return 0

    def _status_or_stored(self) -> Status | None:
        """As the service says, or where there is none, the file. Raises _Exit where that cannot be read either."""
        try:
            self._service.require_service()
        except (NoBusError, NoServiceError) as error:
            if isinstance(error, NoServiceError):
                self._no_service(error)
            else:
                self._log("W", 46, f"Failed to get bus: GError(0): {error}")
            try:
                return self._stored()
            except UpdateError as problem:
                self._err(f"{PROGRAM}: {problem}\n")
                raise _Exit(1) from error
        return self._status()

    def _status(self) -> Status | None:
        try:
            return self._service.get_status()
        except (CallError, NoServiceError) as error:
            self._log("I", 123, f"Error getting status: {_glib(error)}")
            return None

    def _find_service(self) -> None:
        for number in range(1, TRIES + 1):
            if number > 1:
                self._log("I", 51, f"Retrying to get dbus proxy. Try {number}/{TRIES}")
                self._sleep(BETWEEN_TRIES)
            try:
                self._service.require_service()
            except NoServiceError as error:
                self._no_service(error)
            else:
                return
        self._log("E", 65, f"Giving up -- unable to get dbus proxy for {NAME}")
        raise _Exit(1)

    def _no_service(self, error: NoServiceError) -> None:
        self._log("W", 60, f"Error getting dbus proxy for {NAME}: {_glib(error)}")

    def _show_status(self, status: Status | None) -> None:
        self._out(status_text(status))

    def _seen(self, status: Status) -> None:
        self._log("I", 80, "Got status update:")
        for line, (name, value) in enumerate(
            (
                ("last_checked_time", str(status.last_checked)),
                ("progress", f"{status.progress:g}"),
                ("current_operation", status.operation),
                ("new_version", status.new_version),
                ("new_size", str(status.new_size)),
            ),
            start=81,
        ):
            self._log("I", line, f"  {name}: {value}")

    def _log(self, severity: str, line: int, text: str) -> None:
        now = self._now()
        self._err(f"{severity}{now:%m%d %H:%M:%S.%f} {self._thread:5} {PROGRAM}.cc:{line}] {text}\n")


def _glib(error: CallError | NoServiceError) -> str:
    return f"GError({_CODES.get(error.name, 32)}): {error}"


def _usage() -> str:
    flags = "".join(f"    -{name} ({about}) type: bool\n      default: false\n" for name, about in FLAGS.items())
    return (
        f"{PROGRAM}: Warning: SetUsageMessage() never called\n\n  Flags from src/update_engine/{PROGRAM}.cc:\n{flags}"
    )


def stored_status(root: Path, environment: dict[str, str]) -> Status:
    """The status from the file of the state of this system. Raises an UpdateError."""
    from update_agent.config.files import read_configuration
    from update_agent.state.store import Store

    folder = read_configuration(root, environment).settings.state_folder
    machine = Store(folder).load(datetime.now(UTC))
    return status_of(view_of(machine, "", machine.progress.total if machine.progress else 0))


def main() -> NoReturn:
    """Run ``update_engine_client``; exits the process."""
    # As the model: ended by the signal itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)

    def out(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def err(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    def now() -> datetime:
        return datetime.now(UTC).astimezone()

    def stored() -> Status:
        return stored_status(Path("/"), dict(os.environ))

    sys.exit(Client(BusClient(), stored, out, err, now, time.sleep, os.getpid()).run(sys.argv[1:]))
