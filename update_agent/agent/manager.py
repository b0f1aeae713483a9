"""The interface com.coreos.update1.Manager as dbus-fast takes it; the only module that needs it to be imported.

dbus-fast reads the annotations, so they are not put off here.
"""

from collections.abc import Callable
from typing import Annotated, Any

from dbus_fast.annotations import DBusSignature
from dbus_fast.errors import DBusError
from dbus_fast.service import ServiceInterface, dbus_method, dbus_signal

from update_agent.agent.update_engine import INTERFACE, SIGNATURE, Status
from update_agent.errors import UpdateError

FAILED = "org.freedesktop.DBus.Error.Failed"
_Status = Annotated[list[Any], DBusSignature(SIGNATURE)]


class Manager(ServiceInterface):
    """Answers calls with these functions. An UpdateError of ``attempt`` or ``reset`` becomes an error on the bus, with its text."""

    def __init__(self, attempt: Callable[[], None], reset: Callable[[], None], status: Callable[[], Status]) -> None:
        super().__init__(INTERFACE)
        self._attempt, self._reset, self._status = attempt, reset, status

    @dbus_method(name="AttemptUpdate")
    def attempt_update(self) -> None:
        """Check for an update, and take it."""
        _told(self._attempt)

    @dbus_method(name="ResetStatus")
    def reset_status(self) -> None:
        """Make nothing of an update that waits for its reboot."""
        _told(self._reset)

    @dbus_method(name="GetStatus")
    def get_status(self) -> _Status:
        """The status."""
        return list(self._status())

    @dbus_signal(name="StatusUpdate")
    def status_update(self, status: Status) -> _Status:
        """The status, to all who listen."""
        return list(status)


def _told(what: Callable[[], None]) -> None:
    try:
        what()
    except UpdateError as error:
        raise DBusError(FAILED, str(error)) from error
