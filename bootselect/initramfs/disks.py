"""Finds the disk that this machine boots from, without guessing."""

from __future__ import annotations

import os
import time
from _socket import AF_NETLINK, SOCK_CLOEXEC, SOCK_DGRAM, socket

from bootselect.errors import DiskChoiceError
from bootselect.initramfs.files import read_text
from bootselect.slots import slots_of
from gptlib._record import Record
from gptlib.disk import Disk
from gptlib.errors import GptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bootselect.initramfs.config import BootConfig
    from gptlib.guid import Guid

_SYS_BLOCK = "/sys/block"
_LOADER_DEVICE = "/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
_NETLINK_KOBJECT_UEVENT, _KERNEL_EVENTS = 15, 1


class Candidate(Record):
    """A disk with slots, and the partition UUIDs (lower case) on it."""

    path: str
    removable: bool
    partuuids: frozenset[str]


class DiskChoice(Record):
    """The disk to use, and why it was this one."""

    path: str
    reason: str


def loader_partuuid(path: str = _LOADER_DEVICE) -> str:
    """The UUID of the partition that the boot loader came from, in lower case, or empty.

    The EFI variable LoaderDevicePartUUID (systemd Boot Loader Interface): four bytes of attributes, then UTF-16LE.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return ""
    return data[4:].decode("utf-16-le", "replace").rstrip("\0").lower()


def scan(type_guid: Guid, *, sys_block: str = _SYS_BLOCK, dev: str = "/dev") -> list[Candidate]:
    """The disks with at least one slot. A disk that cannot be read, or has no table, is none of them."""
    found = []
    for name in sorted(os.listdir(sys_block)):
        # Loop, device-mapper, RAM and RAID devices have no hardware behind them.
        if not os.path.exists(f"{sys_block}/{name}/device"):
            continue
        path = f"{dev}/{name.replace('!', '/')}"
        try:
            with Disk.open(path) as disk:
                table = disk.table()
        except GptError:
            continue
        if slots_of(table, type_guid):
            partuuids = frozenset(partition.unique_guid.text for partition in table.partitions.values())
            found.append(Candidate(path, read_text(f"{sys_block}/{name}/removable").strip() == "1", partuuids))
    return found


def choose_disk(candidates: list[Candidate], config: BootConfig, loader: str) -> DiskChoice | None:
    """The disk to boot from, or None when the one that is named has not appeared.

    In this order: ``boot-disk=`` and the ``PARTUUID=`` of the command line, the partition that the firmware booted from,
    the only disk with slots. Raises DiskChoiceError when two disks answer to the same name: a clone must never be taken
    by accident.
    """
    if config.disk:
        named = [candidate for candidate in candidates if candidate.path == config.disk]
        return _only(named, f"boot-disk={config.disk}")
    for wanted, why in [*((uuid, "the command line names it") for uuid in config.partuuids), (loader, _FIRMWARE)]:
        if wanted:
            named = [candidate for candidate in candidates if wanted in candidate.partuuids]
            return _only(named, f"{why} (partition {wanted})")
    return _only(candidates, "the only disk with slots")


_FIRMWARE = "the firmware booted from it"


def _only(candidates: list[Candidate], reason: str) -> DiskChoice | None:
    if len(candidates) > 1:
        fixed = [candidate for candidate in candidates if not candidate.removable]
        if len(fixed) != 1:
            paths = ", ".join(candidate.path for candidate in candidates)
            raise DiskChoiceError(
                f"cannot choose a disk: {paths} all qualify ({reason}); remove all but one or name one on the kernel command "
                "line: boot-disk=/dev/..."
            )
        return DiskChoice(fixed[0].path, f"{reason}; removable disks with the same identity are left alone")
    return DiskChoice(candidates[0].path, reason) if candidates else None


def find_disk(
    config: BootConfig,
    loader: str,
    *,
    look: Callable[[], list[Candidate]],
    events: Callable[[float], Iterable[None]],
) -> DiskChoice:
    """Look, and look again whenever the kernel announces a device, until the disk is there.

    ``events(seconds)`` yields after each announcement and ends when the time is over. Without the disk that the firmware
    named, the only disk with slots is taken after that. Raises DiskChoiceError when there is none.
    """
    choice = choose_disk(look(), config, loader)
    if choice is not None:
        return choice
    for _ in events(config.wait):
        choice = choose_disk(look(), config, loader)
        if choice is not None:
            return choice
    if loader and not config.disk and not config.partuuids:
        choice = choose_disk(look(), config, "")
        if choice is not None:
            return choice._replace(reason=f"{choice.reason}; the partition {loader} of the boot loader is on none")
    wanted = config.disk or ", ".join(config.partuuids) or "a disk with slots"
    raise DiskChoiceError(f"{wanted} did not appear within {config.wait:g} s")


def kernel_events(seconds: float, clock: Callable[[], float] = time.monotonic) -> Iterable[None]:
    """Yields at once (a device may have come before we listened) and then after each uevent, for ``seconds``."""
    listener = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, _NETLINK_KOBJECT_UEVENT)
    try:
        listener.bind((0, _KERNEL_EVENTS))
        end = clock() + seconds
        yield
        while (left := end - clock()) > 0:
            listener.settimeout(left)
            try:
                listener.recv(8192)
            except TimeoutError:
                return
            yield
    finally:
        listener.close()
