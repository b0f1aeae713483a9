"""The hardware watchdog: armed before the hand-over, so that a slot that hangs is reset and falls back too.

A driver's ``/dev/watchdog`` is used where there is one, else an Intel 6300ESB without a driver (Debian's cloud kernel has none).
The selector imports this where a watchdog is asked for, and nothing imports the other device's registers before they are used.
"""

from __future__ import annotations

import fcntl
import os
from struct import pack

from bootselect.errors import BootselectError

WATCHDOG, PCI = "/dev/watchdog", "/sys/bus/pci/devices"
_WDIOC_SETTIMEOUT = 0xC0045706
"""linux/watchdog.h: _IOWR('W', 6, int)."""
_KEEP, _STOP = b"\0", b"V"
"""What is written before it is closed: without the magic character it stays armed (Documentation/watchdog/watchdog-api.rst)."""


class WatchdogError(BootselectError):
    """The watchdog cannot be armed: a slot that hangs would not be reset."""


def arm_watchdog(seconds: int, path: str = WATCHDOG, pci: str = PCI) -> str:
    """Start the watchdog and leave it running: the slot has ``seconds`` to take it over. Says which it is.

    Raises WatchdogError when there is none.
    """
    try:
        if os.path.exists(path):
            _write(path, _KEEP, seconds)
            return path
        from bootselect.i6300esb import arm_6300esb, find_6300esb

        device = find_6300esb(pci)
        if device:
            arm_6300esb(device, seconds)
            return _name(device)
    except OSError as error:
        raise WatchdogError(f"the watchdog is not armed: {error.filename or path}: {error.strerror}") from error
    raise WatchdogError(
        f"the watchdog is not armed: there is no {path} and no 6300ESB; load its driver or set watchdog=0"
    )


def stop_watchdog(path: str = WATCHDOG, pci: str = PCI) -> str:
    """Stop what ``arm_watchdog`` has started, for a system that does not feed it. Says which it was; empty for none.

    Raises WatchdogError.
    """
    try:
        if os.path.exists(path):
            _write(path, _STOP)
            return path
        from bootselect.i6300esb import find_6300esb, stop_6300esb

        device = find_6300esb(pci)
        if not device:
            return ""
        stop_6300esb(device)
    except OSError as error:
        raise WatchdogError(f"the watchdog is not stopped: {error.filename or path}: {error.strerror}") from error
    return _name(device)


def _name(device: str) -> str:
    return f"the 6300ESB at {os.path.basename(device)}"


def _write(path: str, data: bytes, seconds: int = 0) -> None:
    """Write to a driver's device, with another time-out where one is given."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        if seconds:
            fcntl.ioctl(fd, _WDIOC_SETTIMEOUT, pack("i", seconds))
        os.write(fd, data)
    finally:
        os.close(fd)
