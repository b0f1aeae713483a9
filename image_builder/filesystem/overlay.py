"""Files of the building machine laid over the content of a file system. Decided on listings, so that it is the same for all content."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from image_builder.distribution.sources import digest_of
from image_builder.errors import SlotFileError
from image_builder.filesystem.listing import Entry, mark_hard_links

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from image_builder.definition.model import SlotFile
    from image_builder.filesystem.listing import Listing

_MOST_LINKS = 40
"""As many as the kernel follows (MAXSYMLINKS)."""
_FOLDER = Entry(stat.S_IFDIR | 0o755, 0, 0)


@dataclass(frozen=True)
class Overlaid:
    """A listing with files laid over it, and the file of the building machine that each of these is a copy of."""

    listing: Listing
    sources: Mapping[bytes, Path]


def lay_over(listing: Listing, files: Sequence[SlotFile]) -> Overlaid:
    """Put files into a listing: root's, 0755 or 0644 as their source is executable or not; missing folders are root's and 0755.

    Links to folders on the way are followed as the finished system would; a link in the place itself is replaced.
    Raises SlotFileError, and OSError where a source cannot be read.
    """
    entries = dict(listing)
    sources: dict[bytes, Path] = {}
    asked: dict[bytes, str] = {}
    for file in files:
        place = _place(entries, file)
        first = asked.setdefault(place, file.path)
        if first != file.path:
            raise SlotFileError(file.path, f"is the same file of the slot as {first}; give one of the two")
        if place in entries and stat.S_ISDIR(entries[place].mode):
            raise SlotFileError(file.path, "is a folder of the slot; give the path of a file in it")
        _make_folders(entries, place)
        entries[place] = Entry(
            stat.S_IFREG | (0o755 if os.access(file.source, os.X_OK) else 0o644), 0, 0, file.source.stat().st_size
        )
        sources[place] = file.source
    return Overlaid(_linked_again(entries, listing, sources), sources)


def exists(listing: Listing, path: str) -> bool:
    """Whether a system has a path, links to folders on the way followed as it would; the last part may be a broken link."""
    *waiting, name = os.fsencode(path).strip(b"/").split(b"/")
    try:
        return b"/".join([*_followed(listing, waiting), name]) in listing
    except _NoWayError:
        return False


def digest_of_files(files: Sequence[SlotFile]) -> str:
    """Changes whenever a path, the bytes or the mode of a file does: 32 hexadecimal digits. Raises OSError."""
    executable = [file.path for file in files if os.access(file.source, os.X_OK)]
    return digest_of({file.path: file.source for file in files}, *executable)


class _NoWayError(Exception):
    """A way leads to no folder; the message says why, as a sentence about it goes on."""


def _followed(entries: Mapping[bytes, Entry], waiting: list[bytes]) -> list[bytes]:
    """The folder that a way leads to, with all symbolic links followed inside the root. Raises _NoWayError."""
    folders: list[bytes] = []
    links = 0
    while waiting:
        part = waiting.pop(0)
        if part in (b"", b"."):
            continue
        if part == b"..":
            del folders[-1:]
            continue
        here = b"/".join([*folders, part])
        entry = entries.get(here)
        if entry is not None and stat.S_ISLNK(entry.mode):
            links += 1
            if links > _MOST_LINKS:
                raise _NoWayError(f"leads through more than {_MOST_LINKS} symbolic links")
            if entry.target.startswith(b"/"):
                folders = []
            waiting[:0] = entry.target.split(b"/")
        elif entry is not None and not stat.S_ISDIR(entry.mode):
            raise _NoWayError(f"cannot be made: /{os.fsdecode(here)} is not a folder of the slot")
        else:
            folders.append(part)
    return folders


def _place(entries: Mapping[bytes, Entry], file: SlotFile) -> bytes:
    """Where the file goes: its folders as ``_followed`` finds them, and its name."""
    *waiting, name = os.fsencode(file.path).strip(b"/").split(b"/")
    try:
        return b"/".join([*_followed(entries, waiting), name])
    except _NoWayError as error:
        raise SlotFileError(file.path, str(error)) from error


def _make_folders(entries: dict[bytes, Entry], place: bytes) -> None:
    parts = place.split(b"/")
    for depth in range(1, len(parts)):
        entries.setdefault(b"/".join(parts[:depth]), _FOLDER)


def _linked_again(
    entries: dict[bytes, Entry], listing: Listing, replaced: Mapping[bytes, Path]
) -> Mapping[bytes, Entry]:
    """The other names of a file that was replaced stay one file, perhaps with another first name, perhaps with a single one."""
    groups: dict[bytes, list[bytes]] = {listing[path].first: [] for path in replaced if path in listing}
    groups.pop(b"", None)
    if groups:
        for path, entry in entries.items():
            if entry.first in groups:
                groups[entry.first].append(path)
                entries[path] = replace(entry, first=b"")
        mark_hard_links(entries, groups.values())
    return entries
