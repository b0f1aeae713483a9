"""Puts dm-verity over a sealed slot, by the ioctls of the device mapper (linux/dm-ioctl.h)."""

from __future__ import annotations

import errno
import fcntl
import os
from struct import pack_into

from bootselect.formats.seal import BLOCK, decode_seal, seal_offset
from bootselect.initramfs.mount import InitramfsError, UnusableSlotError
from gptlib.errors import GptError
from gptlib.linux.device import open_device

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bootselect.formats.seal import Seal

NAME = "slot"
_CONTROL = "/dev/mapper/control"
_VERSION = (4, 0, 0)
_HEADER, _SIZE = 312, 4096
_CREATE, _REMOVE, _SUSPEND, _LOAD = 0xC138FD03, 0xC138FD04, 0xC138FD06, 0xC138FD09
_READ_ONLY = 1
_SECTOR = 512


def verified(device: str, *, required: bool, proven: bool) -> str:
    """The node to mount: dm-verity over a sealed slot, or the slot itself where it is not sealed.

    A block that does not match resets the machine where the slot has not proved itself, which uses up a try. For a slot that
    is ``proven`` that would be for ever, so it is a read error: the selector sees it and takes the next slot. Raises
    UnusableSlotError, also for a slot without a seal where one is ``required``.
    """
    seal = read_seal(device)
    if seal is not None:
        return open_verity(device, seal, on_corruption="" if proven else "restart_on_corruption")
    if required:
        raise UnusableSlotError(f"{device} is not sealed, and this machine boots sealed slots only (verity=required)")
    return device


def read_seal(device: str) -> Seal | None:
    """The seal of the slot on a partition node, or None. Raises UnusableSlotError when it cannot be read, or cannot be of this slot."""
    try:
        disk = open_device(device)
        try:
            offset = seal_offset(disk.read(0, BLOCK))
            seal = decode_seal(disk.read(offset, BLOCK)) if 0 < offset <= disk.size - BLOCK else None
            blocks = disk.size // BLOCK
        finally:
            disk.close()
    except GptError as error:
        raise UnusableSlotError(str(error)) from error
    if seal is not None and not (0 < seal.data_blocks <= blocks and 0 < seal.hash_start < blocks):
        raise UnusableSlotError(
            f"{device} has {blocks} blocks, but its seal is for {seal.data_blocks} with a hash tree at block {seal.hash_start}"
        )
    return seal


def open_verity(device: str, seal: Seal, *, on_corruption: str) -> str:
    """Create the read-only device ``slot`` over ``device`` and give its node. Raises InitramfsError.

    ``on_corruption`` is the target's option for a block that does not match; empty: reading it fails.
    """
    parameters = (
        f"1 {device} {device} {BLOCK} {BLOCK} {seal.data_blocks} {seal.hash_start} sha256 {seal.root_hash.hex()} "
        f"{seal.salt.hex() or '-'}{f' 1 {on_corruption}' if on_corruption else ''}"
    )
    try:
        fd = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise InitramfsError(f"{device} is sealed, but the device mapper is not there: {error.strerror}") from error
    try:
        _remove(fd)
        number = _ioctl(fd, _CREATE)
        _ioctl(fd, _LOAD, _READ_ONLY, _target(seal.data_blocks * BLOCK // _SECTOR, parameters))
        _ioctl(fd, _SUSPEND)
    except OSError as error:
        # What does not match is found when it is read. This is a kernel without dm-verity, or a device that is still in use.
        raise InitramfsError(f"{device} cannot be opened with dm-verity: {error.strerror}") from error
    finally:
        os.close(fd)
    return f"/dev/dm-{os.minor(number)}"


def close_verity() -> None:
    """Remove the device ``slot`` again, where it exists."""
    if not os.path.exists(_CONTROL):
        return
    fd = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        _remove(fd)
    finally:
        os.close(fd)


def _remove(fd: int) -> None:
    try:
        _ioctl(fd, _REMOVE)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise


def _target(sectors: int, parameters: str) -> bytes:
    """One struct dm_target_spec and its parameters."""
    text = parameters.encode() + b"\0"
    data = bytearray(40 + -(-len(text) // 8) * 8)
    pack_into("=QQiI16s", data, 0, 0, sectors, 0, len(data), b"verity")
    data[40 : 40 + len(text)] = text
    return bytes(data)


def _ioctl(fd: int, request: int, flags: int = 0, payload: bytes = b"") -> int:
    """One command for the device ``slot``; the device number that the kernel answers."""
    buffer = bytearray(_SIZE)
    pack_into("=9I", buffer, 0, *_VERSION, _SIZE, _HEADER, 1 if payload else 0, 0, flags, 0)
    pack_into("128s", buffer, 48, NAME.encode())
    buffer[_HEADER : _HEADER + len(payload)] = payload
    fcntl.ioctl(fd, request, buffer)
    return int.from_bytes(buffer[40:48], "little")
