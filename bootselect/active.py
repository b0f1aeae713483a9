"""Finds the slot that the running system came from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.decision import DECISION_PATH
from bootselect.errors import ActiveUnknownError
from bootselect.slots import SLOT_TYPES, slot_type
from gptlib._record import Record
from gptlib.disk import Disk
from gptlib.errors import GptError

if TYPE_CHECKING:
    from collections.abc import Callable


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
    dev: str = "/dev",
    slots_on: Callable[[str], set[int]] | None = None,
) -> Active:
    """The active slot, by the selector's decision or else by the device that ``/usr`` or ``/`` is mounted from.

    Looks through device-mapper and overlays. ``slots_on`` gives the numbers of the slots on a disk; it is asked only where a
    device stands on more than one partition. Raises ActiveUnknownError.
    """
    try:
        left = json.loads(Path(decision).read_text(encoding="utf-8"))
        return Active(str(left["disk"]), int(left["partition"]), decision)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ActiveUnknownError(f"{decision} cannot be used: {error}") from error
    try:
        return _by_mount(Path(mountinfo), Path(sys), dev, slots_on or _slots_on)
    except (GptError, OSError, ValueError) as error:
        raise ActiveUnknownError(f"there is no {decision}, and what is mounted cannot be told: {error}") from error


def _by_mount(mountinfo: Path, sys: Path, dev: str, slots_on: Callable[[str], set[int]]) -> Active:
    mounts = _mounts(mountinfo)
    for place in ("/usr", "/"):
        device = _device_of(place, mounts)
        below = _partitions_below(sys / "dev/block" / device) if device else []
        found = {_active(partition, dev, place) for partition in below}
        if len(found) > 1:
            # dm-verity whose hashes stand on a partition of their own: the other one is the slot.
            found = {active for active in found if active.number in slots_on(active.disk)}
            if len(found) != 1:
                names = ", ".join(partition.name for partition in below)
                raise ActiveUnknownError(f"{place} stands on more than one partition ({names})")
        if found:
            return found.pop()
    raise ActiveUnknownError(f"there is no {DECISION_PATH} and neither /usr nor / comes from a partition")


def _active(partition: Path, dev: str, place: str) -> Active:
    disk = f"{dev}/{partition.parent.name.replace('!', '/')}"
    number = int((partition / "partition").read_text(encoding="ascii"))
    return Active(disk, number, f"{place} is mounted from {partition.name}")


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


def _partitions_below(entry: Path) -> list[Path]:
    """The sysfs folders of the partitions that a device is, or stands on (dm-verity, dm-linear).

    A device that md made of partitions stands on none of them: each is only a part of it.
    """
    folder = entry.resolve()
    if (folder / "partition").exists():
        return [folder]
    if (folder / "md").exists():
        return []
    return [below for slave in sorted((folder / "slaves").glob("*")) for below in _partitions_below(slave)]
