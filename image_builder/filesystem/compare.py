"""Whether a finished file system is what it was made of."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from image_builder.filesystem.errors import NotKeptError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from image_builder.filesystem.listing import Entry, Listing

_MADE_BY_MKFS = b"lost+found"
"""mkfs.ext4 makes this folder in every file system, for fsck."""


@dataclass(frozen=True)
class Difference:
    """One thing that an image did not keep."""

    path: bytes
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        """One line."""
        if self.what in ("missing", "added"):
            return f"{printable(self.path)} is {self.what}"
        return f"{printable(self.path)}: {self.what} {self.found} instead of {self.expected}"


def differences(expected: Listing, found: Listing) -> list[Difference]:
    """Everything in which two listings differ, by path. A folder ``/lost+found`` may be there in addition."""
    changed: list[Difference] = []
    for path in sorted(expected.keys() | found.keys()):
        before, after = expected.get(path), found.get(path)
        if before is not None and after is not None:
            if before != after:
                changed += (Difference(path, *change) for change in _changes(before, after))
        elif before is not None:
            changed.append(Difference(path, "missing", _type(before), ""))
        elif after is not None and not (path == _MADE_BY_MKFS and stat.S_ISDIR(after.mode)):
            changed.append(Difference(path, "added", "", _type(after)))
    return changed


def require_same(image: Path, expected: Listing, found: Listing) -> None:
    """Raises NotKeptError, which names the image, the first differences and their number."""
    if changed := differences(expected, found):
        raise NotKeptError(image, changed)


def _changes(before: Entry, after: Entry) -> Iterator[tuple[str, str, str]]:
    if stat.S_IFMT(before.mode) != stat.S_IFMT(after.mode):
        yield "type", _type(before), _type(after)
        return
    for what, field, show in _FIELDS:
        if field(before) != field(after):
            yield what, show(before), show(after)
    old, new = dict(before.xattrs), dict(after.xattrs)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"xattr {printable(name)}", _value(old.get(name)), _value(new.get(name))


def _value(value: bytes | None) -> str:
    if value is None:
        return "none"
    longest = 32
    return value[:longest].hex() + ("..." if len(value) > longest else "") or "an empty value"


_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def _type(entry: Entry) -> str:
    return _TYPES.get(stat.S_IFMT(entry.mode), f"type {entry.mode:o}")


_FIELDS: tuple[tuple[str, Callable[[Entry], object], Callable[[Entry], str]], ...] = (
    ("mode", attrgetter("mode"), lambda entry: f"{stat.S_IMODE(entry.mode):04o}"),
    ("owner", attrgetter("uid"), lambda entry: str(entry.uid)),
    ("group", attrgetter("gid"), lambda entry: str(entry.gid)),
    ("size", attrgetter("size"), lambda entry: str(entry.size)),
    ("link target", attrgetter("target"), lambda entry: printable(entry.target)),
    ("device", attrgetter("device"), lambda entry: "{}:{}".format(*entry.device)),
    (
        "hard links",
        attrgetter("first"),
        lambda entry: f"one file with {printable(entry.first)}" if entry.first else "one name",
    ),
)
"""What two entries of one type are compared by, and how it is shown."""
