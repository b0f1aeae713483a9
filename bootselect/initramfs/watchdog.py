"""Arms the hardware watchdog before the hand-over, so that a slot that hangs is reset and falls back too.

A driver's ``/dev/watchdog`` is used where there is one. Where the kernel has no driver for it (Debian's cloud kernel), an Intel 6300ESB
(QEMU's ``i6300esb``) is armed by its PCI registers; it goes on counting through a kexec and in a kernel that has hung.
"""

from __future__ import annotations

import fcntl
import os
from struct import pack

from bootselect.errors import BootselectError

WATCHDOG, PCI = "/dev/watchdog", "/sys/bus/pci/devices"
_WDIOC_SETTIMEOUT = 0xC0045706
"""linux/watchdog.h: _IOWR('W', 6, int)."""
_ESB_ID = ("0x8086", "0x25ab")
# Intel 6300ESB datasheet, chapter 15: configuration space ...
_ESB_CONFIG, _ESB_LOCK = 0x60, 0x68
_ESB_1KHZ_NO_INTERRUPT, _ESB_ENABLE = b"\x03\x00", b"\x02"
# ... and memory.
_ESB_TIMER1, _ESB_TIMER2, _ESB_RELOAD = 0x00, 0x04, 0x0C
_ESB_UNLOCK, _ESB_RELOAD_NOW = (0x80, 0x86), 0x100


class WatchdogError(BootselectError):
    """The watchdog cannot be armed: a slot that hangs would not be reset."""


def arm_watchdog(seconds: int, path: str = WATCHDOG, pci: str = PCI) -> str:
    """Start the watchdog and leave it running: the slot has ``seconds`` to take it over. Says which it is.

    Raises WatchdogError when there is none.
    """
    try:
        if os.path.exists(path):
            _arm_device(path, seconds)
            return path
        for name in sorted(os.listdir(pci)):
            if _is_6300esb(f"{pci}/{name}"):
                _arm_6300esb(f"{pci}/{name}", seconds)
                return f"the 6300ESB at {name}"
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
            _write(path, b"V")
            return path
        for name in sorted(os.listdir(pci)):
            if _is_6300esb(f"{pci}/{name}"):
                _write(f"{pci}/{name}/config", b"\0", _ESB_LOCK)
                return f"the 6300ESB at {name}"
    except OSError as error:
        raise WatchdogError(f"the watchdog is not stopped: {error.filename or path}: {error.strerror}") from error
    return ""


def _is_6300esb(device: str) -> bool:
    return (_read(f"{device}/vendor"), _read(f"{device}/device")) == _ESB_ID


def _arm_device(path: str, seconds: int) -> None:
    # Closing it without the magic character keeps it armed (Documentation/watchdog/watchdog-api.rst).
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _WDIOC_SETTIMEOUT, pack("i", seconds))
        os.write(fd, b"\0")
    finally:
        os.close(fd)


def _arm_6300esb(device: str, seconds: int) -> None:
    from mmap import mmap

    _write(f"{device}/enable", b"1")
    _write(f"{device}/config", _ESB_1KHZ_NO_INTERRUPT, _ESB_CONFIG)
    fd = os.open(f"{device}/resource0", os.O_RDWR | os.O_CLOEXEC)
    try:
        with mmap(fd, 0) as memory, memoryview(memory) as registers:
            words, longs = registers.cast("H"), registers.cast("I")

            def unlock() -> None:
                for value in _ESB_UNLOCK:
                    words[_ESB_RELOAD // 2] = value

            # Two stages in a row count down at 1 kHz: each gets half of the time.
            for register in (_ESB_TIMER1, _ESB_TIMER2):
                unlock()
                longs[register // 4] = seconds * 512
            unlock()
            words[_ESB_RELOAD // 2] = _ESB_RELOAD_NOW
            words.release()
            longs.release()
    finally:
        os.close(fd)
    _write(f"{device}/config", _ESB_ENABLE, _ESB_LOCK)


def _write(path: str, data: bytes, offset: int = 0) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        if offset:
            os.lseek(fd, offset, os.SEEK_SET)
        os.write(fd, data)
    finally:
        os.close(fd)


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()
