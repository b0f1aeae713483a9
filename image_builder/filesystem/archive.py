"""Tar archives, plain or compressed: what a file system made of one must hold."""

from __future__ import annotations

import gzip
import io
import lzma
import shutil
import stat
import subprocess
import tarfile
import tempfile
import zlib
from typing import TYPE_CHECKING

from image_builder.errors import MissingToolError
from image_builder.filesystem import acl
from image_builder.filesystem.errors import ArchiveError, printable
from image_builder.filesystem.listing import Entry, mark_hard_links

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO, Protocol, Self

    from typing_extensions import Buffer

    from image_builder.filesystem.listing import Listing

    class _Reader(Protocol):
        def read(self, size: int, /) -> bytes: ...
        def close(self) -> None: ...


_BUFFER = 1 << 16
_GZIP, _XZ, _ZSTD = b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"
_LARGEST_ID = 0xFFFFFFFF

_TYPES = {
    tarfile.REGTYPE: stat.S_IFREG,
    tarfile.AREGTYPE: stat.S_IFREG,
    tarfile.CONTTYPE: stat.S_IFREG,
    tarfile.GNUTYPE_SPARSE: stat.S_IFREG,
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}
_XATTR = "SCHILY.xattr."
_ACLS = {"SCHILY.acl.access": acl.ACCESS, "SCHILY.acl.default": acl.DEFAULT}
_SELINUX = "RHT.security.selinux"


def open_archive(path: Path) -> BinaryIO:
    """The tar inside of an archive, plain or compressed by gzip, xz or zstd, to read from its beginning to its end.

    Close it, or use it in a ``with``. Raises ArchiveError where the file cannot be read, and while it is read where the
    archive is damaged or cut off; MissingToolError where zstd is needed and not installed.
    """
    try:
        file = path.open("rb", buffering=0)
        head = file.read(len(_XZ))
        file.seek(0)
    except OSError as error:
        raise ArchiveError(str(path), f"cannot be read: {error.strerror}") from error
    reader: _Reader = file
    if head.startswith(_GZIP):
        reader = gzip.GzipFile(fileobj=file)
    elif head.startswith(_XZ):
        reader = lzma.LZMAFile(file)  # noqa: SIM115 - closed with what is returned
    elif head.startswith(_ZSTD):
        reader = _Zstd(file)
    return io.BufferedReader(_Checked(str(path), file, reader), _BUFFER)


class _Checked(io.RawIOBase):
    """A reader whose damage is an ArchiveError with the path."""

    def __init__(self, name: str, file: BinaryIO, reader: _Reader) -> None:
        self.name, self._file, self._reader = name, file, reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        try:
            data = self._reader.read(len(view))
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as error:
            raise ArchiveError(self.name, f"damaged or cut off: {error}; fetch or make the archive again") from error
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._reader.close()
            self._file.close()
        super().close()


class _Zstd:
    """What ``zstd -dc`` makes of a file; there is no zstd in the standard library."""

    def __init__(self, file: BinaryIO) -> None:
        program = shutil.which("zstd")
        if program is None:
            file.close()
            raise MissingToolError("zstd", "zstd")
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen([program, "-dcq"], stdin=file, stdout=subprocess.PIPE, stderr=self._said)

    def read(self, size: int, /) -> bytes:
        """Raises OSError at the end of a damaged file."""
        output = self._process.stdout
        data = output.read(size) if output else b""
        if not data and self._process.wait() != 0:
            self._said.seek(0)
            lines = self._said.read().decode(errors="replace").split("\n")
            raise OSError(
                next((line.strip() for line in reversed(lines) if line.strip()), "zstd failed and said nothing")
            )
        return data

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        if self._process.stdout:
            self._process.stdout.close()
        self._process.wait()
        self._said.close()


class _Member(tarfile.TarInfo):
    """A header: one that is damaged or cut off in the middle of an archive is no end of it, as it is for tarfile."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """Raises tarfile.ReadError."""
        try:
            return super().fromtarfile(archive)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":
                raise
            raise tarfile.ReadError(f"{error} at byte {archive.offset}") from error


def list_archive(stream: BinaryIO) -> Listing:
    """What unpacking a tar as root would make: ustar, pax with xattrs, GNU with long names and sparse files.

    Folders that no member names are 0755 and of root. A later member replaces an earlier one of its name. Reads the stream to
    its end. Raises ArchiveError with the member: damage, a member that would leave the root, a type that no file system has.
    """
    tree = _Tree(str(getattr(stream, "name", "archive")))
    try:
        with tarfile.open(
            fileobj=stream, mode="r|", bufsize=_BUFFER, tarinfo=_Member, encoding="utf-8", errors="surrogateescape"
        ) as archive:
            for member in archive:
                tree.add(member)
    except (tarfile.TarError, OSError, ValueError, IndexError, RecursionError) as error:
        raise ArchiveError(tree.name, f"no sound tar: {error or 'cut off'}; fetch or make the archive again") from error
    while stream.read(_BUFFER):
        pass
    return tree.listing()


class _Tree:
    """What has been unpacked so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._entries: dict[bytes, Entry] = {b"": Entry(stat.S_IFDIR | 0o755, 0, 0)}
        self._files: dict[bytes, int] = {}
        """Path -> number of the file; hard links share one."""
        self._count = 0

    def listing(self) -> Listing:
        groups: dict[int, list[bytes]] = {}
        for path, number in self._files.items():
            groups.setdefault(number, []).append(path)
        mark_hard_links(self._entries, groups.values())
        return self._entries

    def add(self, member: tarfile.TarInfo) -> None:
        if member.type == b"V":  # GNU's label of a volume, no member
            return
        path = self._path(member.name, member.name)
        if member.islnk():
            self._link(path, self._path(member.linkname, member.name), member.name)
            return
        entry = self._entry(member)
        self._make_room(path, entry.mode, member.name)
        self._entries[path] = entry
        if not stat.S_ISDIR(entry.mode):
            self._count += 1
            self._files[path] = self._count

    def _link(self, path: bytes, other: bytes, name: str) -> None:
        if path == other and path in self._files:
            return
        if other not in self._files:
            raise self._wrong(name, f"is a hard link to {printable(other)}, which is no file before it")
        entry = self._entries[other]
        self._make_room(path, entry.mode, name)
        self._entries[path], self._files[path] = entry, self._files[other]

    def _make_room(self, path: bytes, mode: int, name: str) -> None:
        """Folders on the way, and nothing under this name that would have to stay."""
        if not path and not stat.S_ISDIR(mode):
            raise self._wrong(name, "would replace the root")
        end = path.find(b"/")
        while end >= 0:
            parent = self._entries.setdefault(path[:end], Entry(stat.S_IFDIR | 0o755, 0, 0))
            if not stat.S_ISDIR(parent.mode):
                raise self._wrong(name, f"lies below {printable(path[:end])}, which is no folder")
            end = path.find(b"/", end + 1)
        old = self._entries.get(path)
        if old is None:
            return
        self._files.pop(path, None)
        if stat.S_ISDIR(old.mode) and not stat.S_ISDIR(mode):
            below = path + b"/"
            if any(other.startswith(below) for other in self._entries):
                raise self._wrong(name, "would replace a folder that is not empty")

    def _entry(self, member: tarfile.TarInfo) -> Entry:
        kind = _TYPES.get(member.type)
        if kind is None:
            raise self._wrong(member.name, f"has type {member.type!r}, which is nothing that a file system has")
        if not (0 <= member.uid <= _LARGEST_ID and 0 <= member.gid <= _LARGEST_ID):
            raise self._wrong(member.name, f"belongs to {member.uid}:{member.gid}, which no file system can store")
        is_device = kind in (stat.S_IFCHR, stat.S_IFBLK)
        return Entry(
            kind | (0o777 if kind == stat.S_IFLNK else stat.S_IMODE(member.mode)),
            member.uid,
            member.gid,
            member.size if kind == stat.S_IFREG else 0,
            _bytes(member.linkname) if kind == stat.S_IFLNK else b"",
            (member.devmajor, member.devminor) if is_device else (0, 0),
            self._xattrs(member) if member.pax_headers else (),
        )

    def _xattrs(self, member: tarfile.TarInfo) -> tuple[tuple[bytes, bytes], ...]:
        found: dict[bytes, bytes] = {}
        for key, value in member.pax_headers.items():
            if key.startswith(_XATTR):
                found[_bytes(key[len(_XATTR) :])] = _bytes(value)
            elif key == _SELINUX:
                found[b"security.selinux"] = _bytes(value) + b"\0"
            elif key in _ACLS:
                try:
                    found[_ACLS[key]] = acl.from_text(value)
                except ValueError as error:
                    raise self._wrong(member.name, f"{error}; make the archive with numeric owners") from error
        return tuple(sorted(found.items()))

    def _path(self, path: str, name: str) -> bytes:
        parts = [part for part in _bytes(path).split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise self._wrong(name, "would leave the root")
        return b"/".join(parts)

    def _wrong(self, name: str, problem: str) -> ArchiveError:
        return ArchiveError(self.name, f"member {printable(_bytes(name))} {problem}")


def _bytes(text: str) -> bytes:
    """What stood in the archive."""
    return text.encode("utf-8", "surrogateescape")
