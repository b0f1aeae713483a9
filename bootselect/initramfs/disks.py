"""Finds the disk that this machine boots from, without guessing."""

from __future__ import annotations

import os

from bootselect.errors import DiskChoiceError, reason_of
from bootselect.initramfs.cmdline import NODE, PARTLABEL, PARTUUID, UUID
from bootselect.slots import slots_of
from gptlib._record import Record
from gptlib.disk import Disk
from gptlib.errors import GptError, ReadError
from gptlib.linux.nodes import DEV, SYS_BLOCK, disks_and_arrays
from gptlib.read.md import is_md_member

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bootselect.initramfs.cmdline import Name
    from bootselect.initramfs.config import BootConfig
    from gptlib.read.state import State
    from gptlib.table.guid import Guid
    from gptlib.table.table import Table

_LOADER_DEVICE = "/sys/firmware/efi/efivars/LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


class Candidate(Record):
    """A disk with slots: the partition UUIDs of the slots and of all partitions, their labels, the UUIDs of their file systems.

    All UUIDs are in lower case; ``filesystems`` is filled only where they were asked for.
    """

    path: str
    removable: bool
    slots: frozenset[str]
    partuuids: frozenset[str]
    labels: frozenset[str] = frozenset()
    filesystems: frozenset[str] = frozenset()


class DiskChoice(Record):
    """The disk to use, and why it was this one. ``settled``: whether no disk that appears later could be preferred to it."""

    path: str
    reason: str
    settled: bool


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


def scan(
    type_guid: Guid,
    passed_over: dict[str, str],
    *,
    filesystems: bool = False,
    sys_block: str = SYS_BLOCK,
    dev: str = DEV,
) -> list[Candidate]:
    """The disks with at least one slot; ``passed_over`` is told for each other disk why it is not one.

    One that cannot be read, has no table, or is a member of an md array is not one: the whole array is the disk.
    """
    found = []
    for path, removable in disks_and_arrays(sysfs=sys_block, dev=dev):
        try:
            with Disk.open(path) as disk:
                state = disk.read()
                table = state.table
                slots = frozenset(table.partition(slot.number).unique_guid.text for slot in slots_of(table, type_guid))
                problem = _problem(disk, state, table) if slots else "it has no partition of the slot type"
                uuids = _filesystems(disk, table) if filesystems and not problem else frozenset()
        except GptError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001  (one disk that is odd in a way of its own must not hide the others)
            problem = reason_of(error)
        if problem:
            passed_over[path] = problem
            continue
        passed_over.pop(path, None)
        partuuids = frozenset(partition.unique_guid.text for partition in table.partitions.values())
        labels = frozenset(partition.label for partition in table.partitions.values())
        found.append(Candidate(path, removable, slots, partuuids, labels, uuids))
    return found


def _problem(disk: Disk, state: State, table: Table) -> str:
    def read(offset: int, length: int) -> bytes:
        if not offset:
            return state.mbr
        try:
            return disk.device.read(offset, length)
        except ReadError:
            return b""

    sectors = [(partition.first_lba, partition.last_lba + 1) for partition in table.partitions.values()]
    # Entries with the right checksum are not a superblock: on a disk that is whole, one place is left to be read.
    arrays = [
        copy.header.partition_entry_lba
        for copy in (state.primary, state.backup)
        if copy.valid and copy.header is not None
    ]
    sectors += [(first, first + table.entries_sectors) for first in arrays]
    size = table.sector_size
    if is_md_member(read, disk.device.size, ((first * size, end * size) for first, end in sectors)):
        return (
            "it is a member of an md array, whose table is not its own; the array is the disk to boot from and has to be "
            "assembled (if it is in none any more: mdadm --zero-superblock)"
        )
    return ""


def _filesystems(disk: Disk, table: Table) -> frozenset[str]:
    from bootselect.initramfs.filesystems import filesystem_uuids

    return filesystem_uuids(disk, table)


def choose_disk(
    candidates: Sequence[Candidate],
    config: BootConfig,
    loader: str,
    *,
    disk_of: Callable[[str], str] = lambda path: path,
) -> DiskChoice | None:
    """The disk to boot from, or None when the one that is named has not appeared.

    In this order: ``boot-disk=`` of the command line, the slot that it names, another partition that it names, the partition
    that the firmware booted from, the only disk with slots. ``disk_of`` gives the node of the disk that a path stands for.
    Raises DiskChoiceError when two disks answer to the same name: a clone must never be taken by accident.
    """
    if config.disk is not None:
        wanted = config.disk
        node = disk_of(wanted.value) if wanted.kind == NODE else ""
        named = [candidate for candidate in candidates if node == candidate.path or _answers(candidate, wanted)]
        choice = _only(named, f"boot-disk={wanted}")
        return choice._replace(settled=True) if choice is not None and node else choice
    for uuid in config.partuuids:
        named = [candidate for candidate in candidates if uuid in candidate.slots]
        if named:
            return _only(named, f"the command line names it (slot {uuid})")
    for uuid in config.partuuids:
        named = [candidate for candidate in candidates if uuid in candidate.partuuids]
        choice = _only(named, f"the command line names it (partition {uuid})")
        if choice is not None:
            # A slot that is named could be on a disk that has not appeared yet.
            everything = named[0].partuuids.issuperset(config.partuuids)
            return choice._replace(settled=choice.settled and everything)
    if config.partuuids:
        return None
    if loader:
        named = [candidate for candidate in candidates if loader in candidate.partuuids]
        return _only(named, f"the firmware booted from it (partition {loader})")
    return _only(candidates, "the only disk with slots")


def choose_at_once(
    candidates: Sequence[Candidate], config: BootConfig, loader: str, *, disk_of: Callable[[str], str]
) -> DiskChoice | None:
    """As ``choose_disk``, but None too where a disk that has not appeared yet could change it."""
    try:
        choice = choose_disk(candidates, config, loader, disk_of=disk_of)
    except DiskChoiceError as error:
        if error.may_change:
            return None
        raise
    return choice if choice is not None and choice.settled else None


def _answers(candidate: Candidate, wanted: Name) -> bool:
    names = {PARTUUID: candidate.partuuids, PARTLABEL: candidate.labels, UUID: candidate.filesystems}
    return wanted.value in names.get(wanted.kind, ())


def _only(candidates: Sequence[Candidate], reason: str) -> DiskChoice | None:
    fixed = [candidate for candidate in candidates if not candidate.removable]
    if len(candidates) > 1 and len(fixed) != 1:
        paths = ", ".join(candidate.path for candidate in candidates)
        raise DiskChoiceError(
            f"cannot choose a disk: {paths} all qualify ({reason}); remove all but one or name one on the kernel command "
            "line: boot-disk=/dev/...",
            may_change=not fixed,
        )
    if len(candidates) > 1:
        return DiskChoice(
            fixed[0].path, f"{reason}; removable disks with the same identity are left alone", settled=True
        )
    return DiskChoice(candidates[0].path, reason, settled=bool(fixed)) if candidates else None


def disk_of(path: str) -> str:
    """The node of the disk that a path stands for: the path itself, what a link leads to, or the disk of a partition."""
    from gptlib.linux.resolve import resolve_target

    node = os.path.realpath(path)
    try:
        return resolve_target(node).path
    except GptError:
        return node
