"""Finds the slot that the running system came from."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from bootselect.decision import DECISION_PATH
from bootselect.errors import ActiveUnknownError
from gptlib._record import Record
from gptlib.nodes import device_name, member_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from gptlib.nodes import Member


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
    decided = _decided(decision)
    if decided is not None:
        return decided
    for active in _mounted(Path(mountinfo), Path(sys), dev):
        return active
    raise ActiveUnknownError(f"there is no {DECISION_PATH} and neither /usr nor / comes from a partition")


def find_running(
    *, decision: str = DECISION_PATH, mountinfo: str = "/proc/self/mountinfo", sys: str = "/sys", dev: str = "/dev"
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
        running += _mounted(Path(mountinfo), Path(sys), dev)
    return running


def _decided(path: str) -> Active | None:
    try:
        left = json.loads(Path(path).read_text(encoding="utf-8"))
        return Active(str(left["disk"]), int(left["partition"]), path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ActiveUnknownError(f"{path} cannot be used: {error}") from error


def _mounted(mountinfo: Path, sys: Path, dev: str) -> Iterator[Active]:
    try:
        mounts = _mounts(mountinfo)
    except OSError as error:
        raise ActiveUnknownError(f"{mountinfo} cannot be read: {error.strerror}") from error
    for place in ("/usr", "/"):
        device = _device_of(place, mounts)
        found = _partition_below(sys / "dev/block" / device, sys) if device else None
        if found is not None:
            disk = f"{dev}/{device_name(Path(found.disk).name)}"
            yield Active(disk, found.number, f"{place} is mounted from partition {found.number} of {disk}")


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


def _partition_below(entry: Path, sys: Path) -> Member | None:
    """The partition that a device is, or stands on (dm-verity, dm-linear)."""
    folder = entry.resolve()
    member = member_of(str(folder))
    if member is not None:
        return member
    for slave in sorted((folder / "slaves").glob("*")):
        number = (slave / "dev").read_text(encoding="ascii").strip()
        found = _partition_below(sys / "dev/block" / number, sys)
        if found is not None:
            return found
    return None
