"""Update media: a folder, or a block device or file with an erofs, that holds ``update.json`` and ``slot.img``."""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.formats.update import DESCRIPTION, IMAGE, LARGEST, DescriptionError, parse_description
from update_agent.errors import MediumError
from update_agent.transport.mounting import mounted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gptlib.table.guid import Guid


@dataclass(frozen=True)
class Update:
    """What a medium offers: ``size`` in bytes and ``sha256`` in lower-case hexadecimal of the slot image.

    ``image`` is where the image is read from, ``shown`` what people know it as; ``releases`` and ``own_kernel`` are those of
    ``bootselect.formats.update.Description``.
    """

    name: str
    version: str
    slot_type: Guid
    size: int
    sha256: str
    image: Path
    shown: str
    releases: tuple[str, ...] | None = None
    own_kernel: bool = False

    @contextlib.contextmanager
    def open_image(self) -> Iterator[Image]:
        """The slot image, for reading. Raises MediumError when it cannot be opened or has another size than it had."""
        try:
            fd = _open_file(self.image)
        except OSError as error:
            raise MediumError(self.shown, error.strerror or str(error)) from error
        try:
            _check_size(self.shown, os.fstat(fd).st_size, self.size)
            yield Image(fd, self.shown)
        finally:
            os.close(fd)


@dataclass(frozen=True)
class Image:
    """An open slot image."""

    fd: int
    shown: str
    releases: tuple[str, ...] | None = None
    own_kernel: bool = False

    def readinto(self, buffer: memoryview) -> int:
        """Fill the start of ``buffer``; the number of bytes, 0 at the end. Raises OSError."""
        return os.readv(self.fd, [buffer])


def read_update(folder: Path, shown: Path | None = None) -> Update:
    """Read and check the description. ``shown`` is what people know the folder as. Raises MediumError."""
    place = shown or folder
    description = str(place / DESCRIPTION)
    try:
        fd = _open_file(folder / DESCRIPTION)
        try:
            told = parse_description(_read(fd, LARGEST + 1))
        finally:
            os.close(fd)
        actual = (folder / IMAGE).stat().st_size
    except DescriptionError as error:
        raise MediumError(description, str(error)) from error
    except OSError as error:
        missing = IMAGE if error.filename == str(folder / IMAGE) else DESCRIPTION
        raise MediumError(str(place / missing), error.strerror or str(error)) from error
    image = str(place / IMAGE)
    _check_size(image, actual, told.size)
    return Update(
        told.name,
        told.version,
        told.slot_type,
        told.size,
        told.sha256,
        folder / IMAGE,
        image,
        told.releases,
        told.own_kernel,
    )


def _check_size(image: str, actual: int, told: int) -> None:
    if actual != told:
        raise MediumError(image, f"it has {actual} bytes, the description says {told}")


def _open_file(path: Path) -> int:
    """Open a regular file; what could block for ever (a pipe) is not one. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(0, "it is not a regular file", str(path))
    return fd


def _read(fd: int, limit: int) -> bytes:
    data = b""
    while len(data) < limit and (more := os.read(fd, limit - len(data))):
        data += more
    return data


@contextlib.contextmanager
def open_medium(path: Path) -> Iterator[Update]:
    """The update of a folder, or of a medium that only this process sees the inside of. Raises MediumError.

    Nothing is left behind when the process is killed: see ``update_agent.transport.mounting``.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise MediumError(str(path), f"there is no such device, file or folder ({error.strerror})") from error
    if stat.S_ISDIR(mode):
        yield read_update(path)
    elif stat.S_ISBLK(mode) or stat.S_ISREG(mode):
        with mounted(str(path)) as folder:
            yield read_update(Path(folder), path)
    else:
        raise MediumError(str(path), "it is neither a block device nor a file or folder")
