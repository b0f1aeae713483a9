"""The archive format that Linux unpacks as its first root file system.

"newc" of Documentation/driver-api/early-userspace/buffer-format.rst: per entry a header of "070701" and thirteen fields of
eight hexadecimal digits, the name, and the content, the last two padded to four bytes. Needs no root, whatever is in it.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

_MAGIC, _TRAILER = b"070701", "TRAILER!!!"
_BLOCK = 512
"""Archives end on a multiple of it, as those of the cpio program do."""


@dataclass(frozen=True)
class Entry:
    """One name in the archive: relative, without a leading ``/``. ``mode`` has the type and the permissions."""

    path: str
    mode: int
    content: bytes | Path = b""
    """What a file holds, or a path to read it from; the target of a symbolic link."""
    device: tuple[int, int] = (0, 0)
    """Major and minor number of a device node."""

    def __post_init__(self) -> None:
        """Raises ValueError for a path that would be unpacked elsewhere."""
        if not self.path or self.path.startswith("/") or ".." in Path(self.path).parts or "\0" in self.path:
            raise ValueError(f"{self.path!r}: the paths of an archive are relative and stay below its root")


def folder(path: str, permissions: int = 0o755) -> Entry:
    """A folder."""
    return Entry(path, stat.S_IFDIR | permissions)


def file(path: str, content: bytes | Path, permissions: int = 0o644) -> Entry:
    """A regular file."""
    return Entry(path, stat.S_IFREG | permissions, content)


def link(path: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int, permissions: int = 0o600) -> Entry:
    """A device node such as /dev/console (5, 1) or /dev/null (1, 3)."""
    return Entry(path, stat.S_IFCHR | permissions, device=(major, minor))


def tree(root: Path) -> list[Entry]:
    """Everything below a folder: folders 755, links as they are, files 755 where their owner may execute them, else 644."""
    entries = []
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            entries.append(link(name, str(path.readlink())))
        elif path.is_dir():
            entries.append(folder(name))
        else:
            entries.append(file(name, path, 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644))
    return entries


def write_archive(stream: BinaryIO, entries: Iterable[Entry], *, mtime: int = 0) -> None:
    """Write the archive: entries sorted by name, owned by root, of one time; folders that are missing are put in.

    Same entries, same bytes. Raises ValueError when two entries have the same name.
    """
    ordered = _complete(entries)
    for number, entry in enumerate(ordered, 1):
        _write_entry(stream, entry, number, mtime)
    _write_entry(stream, Entry(_TRAILER, 0), 0, 0)
    stream.write(bytes(-stream.tell() % _BLOCK))


def _complete(entries: Iterable[Entry]) -> list[Entry]:
    known: dict[tuple[str, ...], Entry] = {}
    for entry in entries:
        parts = Path(entry.path).parts
        if parts in known:
            raise ValueError(f"{entry.path!r} is in the archive twice")
        known[parts] = entry
    for parts in list(known):
        for length in range(1, len(parts)):
            known.setdefault(parts[:length], folder("/".join(parts[:length])))
    return [known[parts] for parts in sorted(known)]


def _write_entry(stream: BinaryIO, entry: Entry, number: int, mtime: int) -> None:
    content = entry.content.read_bytes() if isinstance(entry.content, Path) else entry.content
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    owner = group = checksum = on_major = on_minor = 0
    fields = (
        number,
        entry.mode,
        owner,
        group,
        links,
        mtime,
        len(content),
        on_major,
        on_minor,
        *entry.device,
        len(name),
    )
    header = _MAGIC + b"".join(b"%08X" % field for field in (*fields, checksum))
    stream.write(_padded(header + name))
    stream.write(_padded(content))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
