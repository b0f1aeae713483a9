"""Finds the slot that the running system came from."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.errors import ActiveUnknownError
from bootselect.formats.decision import DECISION_PATH, slot_of
from bootselect.slots import SLOT_TYPES, slot_type
from gptlib._record import Record
from gptlib.disk import Disk
from gptlib.errors import GptError
from gptlib.linux.nodes import DEV, device_name, member_of, node_name, partition_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gptlib.linux.nodes import Member


class Active(Record):
    """The active slot: the node of its disk, the number of its partition, and how it was found."""

    disk: str
    number: int
    how: str


def find_active(
    *,
    decision: str = DECISION_PATH,
    mountinfo: str = "/proc/self/mountinfo",
    sys: str = "/sys",
    dev: str = DEV,
    slots_on: Callable[[str], set[int]] | None = None,
) -> Active:
    """The active slot, by the selector's decision or else by the device that ``/usr`` or ``/`` is mounted from.

    Looks through device-mapper and overlays. ``slots_on`` gives the numbers of the slots on a disk; it is asked only where a
    device stands on more than one partition. Raises ActiveUnknownError.
    """
    decided = _decided(decision)
    if decided is not None:
        return decided
    for active in _mounted(Path(mountinfo), Path(sys), dev, slots_on or _slots_on):
        return active
    raise ActiveUnknownError(f"there is no {DECISION_PATH} and neither /usr nor / comes from a partition")


def find_running(
    *, decision: str = DECISION_PATH, mountinfo: str = "/proc/self/mountinfo", sys: str = "/sys", dev: str = DEV
) -> list[Active]:
    """Every partition that the running system may come from, that of ``find_active`` first; empty where none can be told.

    For what must never be written: a decision that cannot be read, or that is of another boot, does not hide what ``/usr``
    and ``/`` are mounted from.
    """
    running: list[Active] = []
    # What one cannot tell, the other may know; and the kernel gives nobody the sole use of a partition that is mounted.
    with suppress(ActiveUnknownError):
        decided = _decided(decision)
        running += [decided] if decided else []
    with suppress(ActiveUnknownError):
        running += _mounted(Path(mountinfo), Path(sys), dev, None)
    return running


def _decided(path: str) -> Active | None:
    try:
        return Active(*slot_of(json.loads(Path(path).read_text(encoding="utf-8"))), path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ActiveUnknownError(f"{path} cannot be used: {error}") from error


def _mounted(mountinfo: Path, sys: Path, dev: str, slots_on: Callable[[str], set[int]] | None) -> Iterator[Active]:
    """What ``/usr`` and ``/`` are mounted from: the slots by ``slots_on``, without it every partition. Raises ActiveUnknownError."""
    try:
        mounts = _mounts(mountinfo)
        for place in ("/usr", "/"):
            device = _device_of(place, mounts)
            below = _partitions_below(sys / "dev/block" / device) if device else []
            found = {_active(partition, dev, place) for partition in below}
            if len(found) > 1 and slots_on is not None:
                # dm-verity whose hashes stand on a partition of their own: the other one is the slot.
                found = {active for active in found if active.number in slots_on(active.disk)}
                if len(found) != 1:
                    names = ", ".join(partition_name(device_name(Path(one.disk).name), one.number) for one in below)
                    raise ActiveUnknownError(f"{place} stands on more than one partition ({names})")
            yield from found
    except (GptError, OSError, ValueError) as error:
        raise ActiveUnknownError(f"there is no {DECISION_PATH}, and what is mounted cannot be told: {error}") from error


def _active(partition: Member, dev: str, place: str) -> Active:
    disk = node_name(partition.disk, dev=dev)
    return Active(disk, partition.number, f"{place} is mounted from partition {partition.number} of {disk}")


def _slots_on(disk: str) -> set[int]:
    known = {slot_type(name) for name in SLOT_TYPES}
    with Disk.open(disk) as opened:
        partitions = opened.table().partitions
    return {number for number, partition in partitions.items() if partition.type_guid in known}


def _mounts(path: Path) -> dict[str, tuple[str, str, str]]:
    """Mount point -> (major:minor, file-system type, options of the file system); the last mount of a place counts."""
    found = {}
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        fields, rest = left.split(), right.split()
        if len(fields) >= 5 and len(rest) >= 3:
            found[_unescaped(fields[4])] = (fields[2], rest[0], _unescaped(rest[2]))
    return found


def _unescaped(text: str) -> str:
    r"""What the kernel writes as ``\040`` (a blank) and the like."""
    for letter in " \t\n\\":
        text = text.replace(f"\\{ord(letter):03o}", letter)
    return text


def _device_of(place: str, mounts: dict[str, tuple[str, str, str]], depth: int = 0) -> str:
    """Major:minor of the device behind a mount point; of its lowest layer where it is an overlay."""
    if place not in mounts or depth > 4:
        return ""
    device, fstype, options = mounts[place]
    if fstype != "overlay":
        return device
    lower = next((o.partition("=")[2] for o in options.split(",") if o.startswith("lowerdir=")), "").split(":")[-1]
    while lower and lower not in mounts and lower != "/":
        lower = os.path.dirname(lower)  # noqa: PTH120
    return _device_of(lower, mounts, depth + 1) if lower != place else ""


def _partitions_below(entry: Path) -> list[Member]:
    """The partitions that a device is, or stands on (dm-verity, dm-linear).

    A device that md made of partitions stands on none of them: each is only a part of it.
    """
    folder = entry.resolve()
    member = member_of(str(folder))
    if member is not None:
        return [member]
    if (folder / "md").exists():
        return []
    return [below for slave in sorted((folder / "slaves").glob("*")) for below in _partitions_below(slave)]
