"""The slot image of a release that is published, made again of its frames."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

from update_agent.payload.errors import FrameError, IndexError_, SegmentMismatchError
from update_agent.payload.frames import open_segment
from update_agent.payload.index import Index
from update_agent.publish.errors import OldBlobError, WriteError
from update_agent.repository.repository import BLOBS, TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from update_agent.repository.release import Release


@contextmanager
def old_image(folder: Path, release: Release, report: Callable[[int], None]) -> Iterator[IO[bytes]]:
    """The image of a release of the repository at ``folder``, byte for byte what was signed, at its start.

    It takes its whole size on the repository's file system, in a file without a name: nothing is left of it, however the process
    ends. ``report`` is given the bytes that are done. Raises OldBlobError, WriteError.
    """
    with _file(folder) as image:
        try:
            _unpack(folder, release, image, report)
        except (FrameError, IndexError_, SegmentMismatchError) as error:
            raise OldBlobError(folder / BLOBS / release.blob, str(error)) from error
        image.seek(0)
        yield image


@contextmanager
def _file(folder: Path) -> Iterator[IO[bytes]]:
    try:
        file = TemporaryFile(dir=folder)  # noqa: SIM115  (closed below)
    except OSError as error:
        raise WriteError(folder, error.strerror or str(error)) from error
    with file:
        yield file


def _unpack(folder: Path, release: Release, image: IO[bytes], report: Callable[[int], None]) -> None:
    index, whole = _index(folder, release), hashlib.sha256()
    path = folder / BLOBS / release.blob
    try:
        with path.open("rb") as blob:
            for segment in index.segments:
                data = open_segment(segment, blob.read(segment.compressed))
                whole.update(data)
                _write(folder, image, data)
                report(segment.start + segment.size)
    except OSError as error:
        raise OldBlobError(path, error.strerror or str(error)) from error
    if whole.hexdigest() != release.sha256:
        raise OldBlobError(path, f"it makes an image with the SHA-256 {whole.hexdigest()}, signed is {release.sha256}")


def _index(folder: Path, release: Release) -> Index:
    """The index that is there. Whether it is what was signed shows in the image that it makes."""
    path = folder / TARGETS / f"{release.index.sha256}.{release.index.name}"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise OldBlobError(path, error.strerror or str(error)) from error
    return Index.parse(data)


def _write(folder: Path, image: IO[bytes], data: memoryview) -> None:
    try:
        image.write(data)
        image.flush()
    except OSError as error:
        raise WriteError(folder, f"no room for the image of an older release: {error.strerror}") from error
