"""What a server is told of an update. The numbers are those of update_engine (omaha_request_action.h, action_processor.h).

>>> rebooted("1.0")
Event(kind=3, result=2, code=None, previous='1.0')
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

COMPLETE, DOWNLOAD_STARTED, DOWNLOAD_FINISHED = 3, 13, 14
"""Values of ``eventtype``."""
ERROR, SUCCESS, SUCCESS_REBOOT = 0, 1, 2
"""Values of ``eventresult``."""


class Code(IntEnum):
    """Values of ``errorcode``."""

    ERROR = 1
    BOOTABLE_FLAG = 6
    DOWNLOAD = 9
    HASH_MISMATCH = 10
    VERIFICATION = 15
    IGNORED = 35
    """What the server names is not taken here, by a rule of this machine."""
    ROLLED_BACK = 44


@dataclass(frozen=True)
class Event:
    """``kind`` is the eventtype, ``previous`` the version that ran before; None is not sent."""

    kind: int
    result: int
    code: int | None = None
    previous: str | None = None


STARTED = Event(DOWNLOAD_STARTED, SUCCESS)
FINISHED = Event(DOWNLOAD_FINISHED, SUCCESS)
INSTALLED = Event(COMPLETE, SUCCESS)
ROLLED_BACK = Event(COMPLETE, ERROR, Code.ROLLED_BACK)


def rebooted(previous: str) -> Event:
    """The new version runs; ``previous`` ran before."""
    return Event(COMPLETE, SUCCESS_REBOOT, previous=previous)


def failed(code: Code) -> Event:
    """The update ended, and the machine is as it was."""
    return Event(COMPLETE, ERROR, code)
