"""Looks into the system of a slot: what it is, which kernels it has, what dpkg knows about it."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.formats.slot_files import INIT, OS_RELEASE
from image_builder.errors import NoSystemError, PackageContentError
from image_builder.filesystem.archive import open_archive
from image_builder.filesystem.overlay import exists
from image_builder.filesystem.source import ArchiveSource, FolderSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from image_builder.filesystem.listing import Listing
    from image_builder.filesystem.source import ImageSource, Source

_RECORDS = ("var/lib/dpkg/status", "usr/lib/os-release", "etc/os-release")
_RECORDS_BELOW = "var/lib/dpkg/status.d/"
"""dpkg's record of what is installed (dpkg-query(1)), that of images without dpkg, and what the system says of itself."""
_MODULES = ("lib/modules/", "usr/lib/modules/")
"""Where a system keeps the modules of its kernels, in a folder for each release."""
_MACHINE_IDS, _ID_SIZES = (b"etc/machine-id", b"var/lib/dbus/machine-id"), (32, 33)
"""Where systemd looks for the id of the machine (machine-id(5)), and the bytes of a file that has one; ``uninitialized`` has fewer."""
_KERNELS = ("boot/vmlinuz-", *_MODULES)


def require_system(name: str, listing: Listing) -> None:
    """Raise NoSystemError unless the selector would take it for a system: an os-release and an init."""
    for what, places in (("os-release", OS_RELEASE), ("init", INIT)):
        if not any(exists(listing, place) for place in places):
            raise NoSystemError(name, what, places)


def releases_in(listing: Listing) -> tuple[str, ...]:
    """The releases of the kernels that there are modules for."""
    found = set()
    for path in listing:
        for folder in _MODULES:
            rest = path.removeprefix(folder.encode())
            if rest != path and b"/" in rest:
                found.add(rest.partition(b"/")[0].decode(errors="replace"))
    return tuple(sorted(found))


def machine_ids_in(listing: Listing) -> tuple[str, ...]:
    """Files with the id of one machine: all machines of an image would take it for theirs, and be one in locks and leases of addresses."""
    found = (path for path in _MACHINE_IDS if path in listing and listing[path].size in _ID_SIZES)
    return tuple(path.decode() for path in found)


def records_of(source: Source | ImageSource) -> dict[str, str]:
    """The records of a system, by their paths; none of a finished file system. Raises OSError and ArchiveError."""
    found: dict[str, bytes] = {}
    if isinstance(source, FolderSource):
        folder = source.path / _RECORDS_BELOW
        names = [*_RECORDS, *(f"{_RECORDS_BELOW}{file.name}" for file in sorted(folder.glob("*")))]
        files = {name: source.path / name for name in names}
        found = {name: file.read_bytes() for name, file in files.items() if file.is_file() and not file.is_symlink()}
    elif isinstance(source, ArchiveSource):
        with open_archive(source.path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                name = _name(member)
                if member.isreg() and (name in _RECORDS or name.startswith(_RECORDS_BELOW)):
                    content = archive.extractfile(member)
                    found[name] = content.read() if content else b""
    return {name: data.decode(errors="replace") for name, data in found.items()}


def extract_kernel(source: Source | ImageSource, folder: Path) -> None:
    """Put kernel and modules of an archive into ``folder``, as they lie in it. Raises PackageContentError and ArchiveError."""
    if not isinstance(source, ArchiveSource):
        raise PackageContentError(folder, "a kernel can be taken out of a tree or an archive only")
    with open_archive(source.path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in _kernel_members(archive):
            content = archive.extractfile(member)
            target = folder / _name(member)
            target.parent.mkdir(parents=True, exist_ok=True)
            if content is not None:
                with target.open("wb") as file:
                    shutil.copyfileobj(content, file)


def _kernel_members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        name = _name(member)
        if member.isreg() and name.startswith(_KERNELS) and ".." not in Path(name).parts:
            yield member


def _name(member: tarfile.TarInfo) -> str:
    return str(Path(member.name.lstrip("/")))
