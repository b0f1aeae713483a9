"""Finds the slot that the running system came from."""

from __future__ import annotations

import json
import os
from pathlib import Path

from bootselect.decision import DECISION_PATH
from bootselect.errors import ActiveUnknownError
from gptlib._record import Record


class Active(Record):
    """The active slot: the node of its disk, the number of its partition, and how it was found."""

    disk: str
    number: int
    how: str


def find_active(
    *, decision: str = DECISION_PATH, mountinfo: str = "/proc/self/mountinfo", sys: str = "/sys", dev: str = "/dev"
) -> Active:
    """The active slot, by the selector's decision or else by the device that ``/usr`` or ``/`` is mounted from.

    Looks through device-mapper and overlays. Raises ActiveUnknownError.
    """
    try:
        left = json.loads(Path(decision).read_text(encoding="utf-8"))
        return Active(str(left["disk"]), int(left["partition"]), decision)
    except FileNotFoundError:
        return _by_mount(Path(mountinfo), Path(sys), dev)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ActiveUnknownError(f"{decision} cannot be used: {error}") from error


def _by_mount(mountinfo: Path, sys: Path, dev: str) -> Active:
    mounts = _mounts(mountinfo)
    for place in ("/usr", "/"):
        device = _device_of(place, mounts)
        partition = _partition_below(sys / "dev/block" / device, sys) if device else None
        if partition is not None:
            disk = f"{dev}/{partition.parent.name.replace('!', '/')}"
            number = int((partition / "partition").read_text(encoding="ascii"))
            return Active(disk, number, f"{place} is mounted from {partition.name}")
    raise ActiveUnknownError(f"there is no {DECISION_PATH} and neither /usr nor / comes from a partition")


def _mounts(path: Path) -> dict[str, tuple[str, str, str]]:
    """Mount point -> (major:minor, file-system type, options of the file system); the last mount of a place counts."""
    found = {}
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        fields, rest = left.split(), right.split()
        if len(fields) >= 5 and len(rest) >= 3:
            found[fields[4]] = (fields[2], rest[0], rest[2])
    return found


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


def _partition_below(entry: Path, sys: Path) -> Path | None:
    """The sysfs folder of the partition that a device is, or stands on (dm-verity, dm-linear)."""
    folder = entry.resolve()
    if (folder / "partition").exists():
        return folder
    for slave in sorted((folder / "slaves").glob("*")):
        number = (slave / "dev").read_text(encoding="ascii").strip()
        found = _partition_below(sys / "dev/block" / number, sys)
        if found is not None:
            return found
    return None
