"""A view in the words of update_engine, the agent of CoreOS and Flatcar: what its D-Bus interface and its client say."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from update_agent.state.transitions import State

if TYPE_CHECKING:
    from update_agent.agent.view import View

NAME, PATH, INTERFACE = "com.coreos.update1", "/com/coreos/update1", "com.coreos.update1.Manager"
SIGNATURE = "xdssx"
"""Of a ``Status``, in an answer and in a signal."""
NO_VERSION = "0.0.0"
"""What update_engine says where there is no update."""


class Operation(StrEnum):
    """What update_engine can be doing."""

    IDLE = "UPDATE_STATUS_IDLE"
    CHECKING = "UPDATE_STATUS_CHECKING_FOR_UPDATE"
    AVAILABLE = "UPDATE_STATUS_UPDATE_AVAILABLE"
    DOWNLOADING = "UPDATE_STATUS_DOWNLOADING"
    VERIFYING = "UPDATE_STATUS_VERIFYING"
    FINALIZING = "UPDATE_STATUS_FINALIZING"
    NEED_REBOOT = "UPDATE_STATUS_UPDATED_NEED_REBOOT"
    ERROR = "UPDATE_STATUS_REPORTING_ERROR_EVENT"


OPERATIONS = {
    State.IDLE: Operation.IDLE,
    State.CHECKING: Operation.CHECKING,
    State.AVAILABLE: Operation.AVAILABLE,
    State.DOWNLOADING: Operation.DOWNLOADING,
    State.VERIFYING: Operation.VERIFYING,
    State.INSTALLING: Operation.FINALIZING,
    State.ARMED: Operation.NEED_REBOOT,
    State.WAITING: Operation.NEED_REBOOT,
    State.REBOOTING: Operation.NEED_REBOOT,
    # update_engine knows no trial. Whoever waits for it must wait, and a reset must be refused, as while it is finalizing.
    State.PROVING: Operation.FINALIZING,
    State.GOOD: Operation.IDLE,
    State.ROLLED_BACK: Operation.ERROR,
}
"""What each state is to update_engine."""
_WITHOUT_UPDATE = (Operation.IDLE, Operation.CHECKING)


class Status(NamedTuple):
    """What GetStatus answers: seconds since 1970 (0: never), 0 to 1, operation, version, bytes."""

    last_checked: int
    progress: float
    operation: str
    new_version: str
    new_size: int


def status_of(view: View) -> Status:
    """The status. Without an update the version is ``0.0.0`` and the size 0."""
    operation = OPERATIONS[view.state]
    checked = int(view.checked.timestamp()) if view.checked else 0
    if operation in _WITHOUT_UPDATE:
        return Status(checked, 0.0, operation, NO_VERSION, 0)
    return Status(checked, view.progress, operation, view.version or NO_VERSION, view.size)


def status_text(status: Status | None) -> str:
    """What ``update_engine_client -status`` prints; None where the service did not answer, which is printed as C does."""
    found = status or Status(0, 0.0, "(null)", "(null)", 0)
    return (
        f"LAST_CHECKED_TIME={found.last_checked}\nPROGRESS={found.progress:f}\nCURRENT_OP={found.operation}\n"
        f"NEW_VERSION={found.new_version}\nNEW_SIZE={found.new_size}\n"
    )
