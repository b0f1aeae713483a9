"""The watchdog timer of the Intel 6300ESB (QEMU's ``i6300esb``), by its PCI registers: for kernels without a driver for it.

Datasheet 300641, chapter 15. It goes on counting through a kexec and in a kernel that has hung. Every function raises OSError.
"""

from __future__ import annotations

import os
from mmap import mmap

_ID = ("0x8086", "0x25ab")
# Configuration space ...
_CONFIG, _LOCK = 0x60, 0x68
_1KHZ_NO_INTERRUPT, _ENABLE, _DISABLE = b"\x03\x00", b"\x02", b"\x00"
# ... and memory.
_TIMER1, _TIMER2, _RELOAD = 0x00, 0x04, 0x0C
_UNLOCK, _RELOAD_NOW = (0x80, 0x86), 0x100


def find_6300esb(pci: str) -> str:
    """The folder of the first one in ``pci``, the devices of sysfs; empty where there is none."""
    devices = (f"{pci}/{name}" for name in sorted(os.listdir(pci)))
    return next((device for device in devices if (_read(f"{device}/vendor"), _read(f"{device}/device")) == _ID), "")


def arm_6300esb(device: str, seconds: int) -> None:
    """Start it: the machine is reset after ``seconds`` unless it is reloaded or stopped before."""
    _write(f"{device}/enable", b"1")
    _write(f"{device}/config", _1KHZ_NO_INTERRUPT, _CONFIG)
    fd = os.open(f"{device}/resource0", os.O_RDWR | os.O_CLOEXEC)
    try:
        with mmap(fd, 0) as memory, memoryview(memory) as registers:
            words, longs = registers.cast("H"), registers.cast("I")

            def unlock() -> None:
                for value in _UNLOCK:
                    words[_RELOAD // 2] = value

            # Two stages in a row count down at 1 kHz: each gets half of the time.
            for register in (_TIMER1, _TIMER2):
                unlock()
                longs[register // 4] = seconds * 512
            unlock()
            words[_RELOAD // 2] = _RELOAD_NOW
            words.release()
            longs.release()
    finally:
        os.close(fd)
    _write(f"{device}/config", _ENABLE, _LOCK)


def stop_6300esb(device: str) -> None:
    """Stop it."""
    _write(f"{device}/config", _DISABLE, _LOCK)


def _write(path: str, data: bytes, offset: int = 0) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(fd, data, offset)
    finally:
        os.close(fd)


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()
