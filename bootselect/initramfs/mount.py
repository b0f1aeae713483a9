"""Mounts a slot read-only and checks that it holds a system."""

from __future__ import annotations

import os

from bootselect.errors import BootselectError
from bootselect.formats.filesystem import FILE_SYSTEMS, HEAD, LARGEST_SECTOR, filesystem_of
from bootselect.formats.slot_files import INIT, OS_RELEASE, VERSION_FIELDS
from bootselect.initramfs.config import AUTO
from bootselect.initramfs.files import read_from_slot, read_text
from gptlib._record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[list[str]], tuple[int, str]]
    """argv -> (exit code, what it said on stderr)."""

SLOT_ROOT, FILESYSTEMS = "/slot", "/proc/filesystems"


class UnusableSlotError(BootselectError):
    """The slot cannot be mounted or holds no system. It is not mounted afterwards."""


class InitramfsError(UnusableSlotError):
    """The slot cannot be booted for want of something in the initramfs or its kernel. That is not the slot's fault."""


class System(Record):
    """What a mounted slot says of itself: ``version`` is that of the image, else that of the operating system in it."""

    version: str


def mount_slot(
    device: str, fstype: str, run: Run, root: str = SLOT_ROOT, *, ready: Callable[[System], None] = lambda _: None
) -> System:
    """Mount ``device`` read-only on ``root``, look at what is in it, and call ``ready`` with that.

    With ``AUTO`` for ``fstype`` the file system is told from the superblock. Raises UnusableSlotError, and what ``ready`` raises;
    the slot is not mounted then.
    """
    if not os.path.exists(device):
        raise UnusableSlotError(f"{device} does not exist: the kernel does not see this partition")
    if fstype == AUTO:
        fstype = _recognised(device)
    code, said = run(["mount", "-t", fstype, "-o", "ro", device, root])
    if code == NO_PROGRAM:
        raise InitramfsError(said)
    if code and not _has_driver(fstype):
        raise InitramfsError(f"{device} cannot be mounted: this kernel has no {fstype}; its driver is not loaded")
    if code:
        why = said or f"mount exited with {code}"
        raise UnusableSlotError(f"{device} cannot be mounted as {fstype}: {why}{_hint(device)}")
    try:
        system = check_system(root)
        ready(system)
    except BaseException:
        run(["umount", root])
        raise
    return system


def _recognised(device: str) -> str:
    """The name of the file system on a device. Raises UnusableSlotError."""
    try:
        found = filesystem_of(_head(device))
    except OSError as error:
        raise UnusableSlotError(f"{device} cannot be read: {error.strerror}") from error
    if found is None:
        raise UnusableSlotError(
            f"{device} begins with no file system that is known; expected {', '.join(FILE_SYSTEMS)}, or the setting fstype to name it"
        )
    return found.name


def _hint(device: str) -> str:
    """What may be the matter with a file system that cannot be mounted, to be appended; empty where nothing is known of it."""
    try:
        found = filesystem_of(_head(device))
    except OSError:
        return ""
    if found is None:
        return ""
    if 0 < found.block < LARGEST_SECTOR:
        return f"; its blocks have {found.block} bytes, and a sealed slot needs {LARGEST_SECTOR}: mkfs.ext4 -b {LARGEST_SECTOR}"
    if not found.unfinished:
        return ""
    return "; its journal has to be replayed, which nothing can do on a sealed slot: run e2fsck -fy on the image before it is sealed"


def _head(device: str) -> bytes:
    fd = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, HEAD)
    finally:
        os.close(fd)


def _has_driver(fstype: str) -> bool:
    known = read_text(FILESYSTEMS).split()
    return fstype in known or not known


def check_system(root: str) -> System:
    """The version of the system below ``root``. Raises UnusableSlotError without an os-release or an init."""
    release = next((text for text in (_text(f"{root}/{name}") for name in OS_RELEASE) if text), "")
    if not release:
        raise UnusableSlotError("it has no os-release: this is not an operating system, or only part of one")
    if not any(os.path.lexists(f"{root}/{name}") for name in INIT):
        raise UnusableSlotError("it has no init: nothing could be started from it")
    fields = {name: value.strip("\"'") for name, _, value in (line.partition("=") for line in release.splitlines())}
    return System(next((fields[name] for name in VERSION_FIELDS if fields.get(name)), "unknown"))


def _text(path: str) -> str:
    try:
        return read_from_slot(path)
    except OSError:
        return ""


NO_PROGRAM = 127
"""Exit code for a program that is not there, as of a shell."""
_PLACES = ("/bin/busybox", "/usr/bin/busybox", "/bin/{0}", "/usr/bin/{0}", "/sbin/{0}", "/usr/sbin/{0}")


def run_program(argv: list[str]) -> tuple[int, str]:
    """Run ``mount`` or ``umount``: BusyBox's, or what else the initramfs has (klibc in Debian's, util-linux in dracut's)."""
    places = (place.format(argv[0]) for place in _PLACES)
    program = next((place for place in places if os.access(place, os.X_OK)), "")
    if not program:
        return NO_PROGRAM, f"there is no {argv[0]} in this initramfs"
    readable, writable = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, writable, 2)]
    pid = os.posix_spawn(program, argv, {"PATH": "/bin:/usr/bin:/sbin:/usr/sbin"}, file_actions=actions)
    os.close(writable)
    said = b""
    while chunk := os.read(readable, 4096):
        said += chunk
    os.close(readable)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, said.decode("utf-8", "replace").strip().replace("\n", "; ")
