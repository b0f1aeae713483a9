"""Looks into an update medium without leaving anything behind, however the process ends.

The mount is attached to no folder: it is an open file, and so is the loop device under an image file. Both end with the last
descriptor, after SIGKILL too, and nobody else sees them. The system calls are those of Linux 5.8 (fsopen(2), fsmount(2),
LOOP_CONFIGURE), which Python has no functions for.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from bootselect.formats.filesystem import FILE_SYSTEMS, HEAD, filesystem_of
from gptlib.linux.syscall import syscall
from update_agent.errors import MediumError

if TYPE_CHECKING:
    from collections.abc import Iterator

# asm-generic/unistd.h: the same numbers on all architectures.
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
# linux/mount.h
_CLOEXEC, _SET_FLAG, _SET_STRING, _CREATE = 1, 0, 1, 6
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8
# linux/loop.h
_GET_FREE, _CONFIGURE = 0x4C82, 0x4C0A
_READ_ONLY, _AUTOCLEAR = 1, 4
_LOOP_CONFIG = struct.Struct("=II 5Q4I 64s64s32s2Q 64x")
_LOOP_CONTROL, _LOOP_NODE = "/dev/loop-control", "/dev/loop{}"
_TURNS = 64
"""How often another process may take the free loop device first."""
_ONLY_ROOT = "only root can do that; give a folder with the files instead"
_REASONS = {
    errno.EPERM: _ONLY_ROOT,
    errno.EACCES: _ONLY_ROOT,
    errno.ENODEV: "this kernel has no driver for its file system",
    errno.ENOSYS: "this kernel cannot mount without a folder; Linux 5.8 or newer can",
    errno.EINVAL: "it holds no file system that this kernel can read",
}


@contextmanager
def mounted(path: str) -> Iterator[str]:
    """Mount a block device or image file read-only, whichever of the file systems of slots it holds; a folder that only this process sees.

    Raises MediumError.
    """
    with ExitStack() as files:
        try:
            source = path if stat.S_ISBLK(os.stat(path).st_mode) else _attach(path, files)  # noqa: PTH116
            kind = _kind_of(path)
            fd = _closed_by(files, _mount(source, kind, files))
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            problem = _REASONS.get(error.errno or 0, f"{where}{error.strerror or error}")
            raise MediumError(path, f"it cannot be mounted: {problem}") from error
        yield f"/proc/self/fd/{fd}"


def _kind_of(path: str) -> bytes:
    """What file system it holds, as ``mount -t`` names it. Raises MediumError and OSError."""
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
        found = filesystem_of(stream.read(HEAD))
    if found is None:
        raise MediumError(
            path, f"it holds no file system that an update comes in; expected {' or '.join(FILE_SYSTEMS)}"
        )
    return found.name.encode()


def _closed_by(files: ExitStack, fd: int) -> int:
    files.callback(os.close, fd)
    return fd


def _attach(path: str, files: ExitStack) -> str:
    """A read-only loop device over a file, which the kernel takes away with its last user. Its node."""
    backing = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        control = os.open(_LOOP_CONTROL, os.O_RDWR | os.O_CLOEXEC)
        try:
            return _configure(control, backing, os.fsencode(path), files)
        finally:
            os.close(control)
    finally:
        os.close(backing)


def _configure(control: int, backing: int, name: bytes, files: ExitStack) -> str:
    flags = _READ_ONLY | _AUTOCLEAR
    config = _LOOP_CONFIG.pack(backing, 0, 0, 0, 0, 0, 0, 0, 0, 0, flags, name[:63], b"", b"", 0, 0)
    for _ in range(_TURNS):
        node = _LOOP_NODE.format(fcntl.ioctl(control, _GET_FREE))
        fd = os.open(node, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, _CONFIGURE, config)
        except OSError as error:
            os.close(fd)
            if error.errno != errno.EBUSY:
                raise
        else:
            _closed_by(files, fd)
            return node
    raise OSError(errno.EBUSY, "other processes take every free loop device")


def _mount(source: str, kind: bytes, files: ExitStack) -> int:
    context = _closed_by(files, syscall(_FSOPEN, kind, _CLOEXEC))
    syscall(_FSCONFIG, context, _SET_STRING, b"source", os.fsencode(source), 0)
    syscall(_FSCONFIG, context, _SET_FLAG, b"ro", None, 0)
    syscall(_FSCONFIG, context, _CREATE, None, None, 0)
    return syscall(_FSMOUNT, context, _CLOEXEC, _RDONLY | _NOSUID | _NODEV | _NOEXEC)
