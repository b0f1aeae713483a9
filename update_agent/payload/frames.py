"""The frames of a slot image: made one behind the other into a blob, and taken apart one by one.

Each is one zstd frame (RFC 8878) that names the bytes that it holds. What comes from outside is never believed: a header that
does not fit is refused before anything is allocated for it, and no more is unpacked than the index promises.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from backports.zstd import (
    CompressionParameter,
    DecompressionParameter,
    ZstdCompressor,
    ZstdDecompressor,
    ZstdDict,
    ZstdError,
)

from update_agent.payload.errors import FrameError, NoMemoryError, SegmentMismatchError
from update_agent.payload.header import LARGEST_WINDOW, check_header
from update_agent.payload.index import DICTIONARY, DeltaIndex, Index, largest_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Protocol

    from update_agent.payload.index import Segment

    Buffer = bytes | bytearray | memoryview
    """What holds bytes."""

    class Readable(Protocol):
        """An image that is read to its end."""

        def read(self, size: int, /) -> bytes | None:
            """At most ``size`` bytes, none at the end. Raises OSError."""

    class Writable(Protocol):
        """A blob that is written from its start to its end."""

        def write(self, data: bytes, /) -> int | None:
            """All bytes, as a buffered file does. Raises OSError."""


LEVEL: Final = 9
"""Of compression."""
_PORTION: Final = 256 << 10
"""Bytes of a frame that are unpacked at once,"""
_UNPACKED: Final = 256 << 10
"""and those that are made of them at most."""
_WINDOW_LOG: Final = LARGEST_WINDOW.bit_length() - 1
_NO_MEMORY: Final = "Allocation error"
"""What the text of an error of libzstd has in it when memory is what is missing; the binding does not give its number."""
AnyIndex = TypeVar("AnyIndex", Index, DeltaIndex)


@dataclass(frozen=True)
class Made(Generic[AnyIndex]):
    """A finished blob: its index, its size in bytes, and its SHA-256 in lower-case hexadecimal, by which it is published."""

    index: AnyIndex
    blob_size: int
    blob_sha256: str


class BlobWriter:
    """Frames into a blob, counted and hashed."""

    def __init__(self, blob: Writable) -> None:
        self.size = 0
        self._blob, self._digest = blob, hashlib.sha256()

    def write(self, frame: bytes) -> None:
        """Put a frame behind those before. Raises OSError; the blob then ends somewhere in a frame."""
        self._blob.write(frame)
        self._digest.update(frame)
        self.size += len(frame)

    def made(self, index: AnyIndex) -> Made[AnyIndex]:
        """What is finished now."""
        return Made(index, self.size, self._digest.hexdigest())


def write_frames(
    image: Readable, blob: Writable, *, level: int = LEVEL, progress: Callable[[int], None] = lambda _: None
) -> Made[Index]:
    """Write an image, from where it stands to its end, as frames of 4 MiB into a blob.

    ``progress`` is given the bytes of the image that are done. The same image gives the same blob, with the same version of
    libzstd. One segment and the state of the compressor are in memory: 45 MiB at level 9, however large the image is.
    Raises OSError as the files do, and IndexError_ for an image that is empty or too large; the blob then has part of it and
    is to be thrown away. It is not flushed.
    """
    out, whole, done = BlobWriter(blob), hashlib.sha256(), 0
    frames: list[tuple[int, str]] = []
    while data := read_exactly(image, Index.SEGMENT):
        frame = compress_segment(data, level=level)
        out.write(frame)
        whole.update(data)
        frames.append((len(frame), hashlib.sha256(data).hexdigest()))
        done += len(data)
        progress(done)
    return out.made(Index.of(done, whole.hexdigest(), frames))


def read_exactly(image: Readable, size: int) -> bytes:
    """``size`` bytes, fewer only at the end of the image. Raises OSError."""
    data = image.read(size) or b""
    while len(data) < size and (more := image.read(size - len(data))):
        data += more
    return data


def compress_segment(
    data: bytes,
    dictionary: bytes = b"",
    *,
    level: int = LEVEL,
    options: Mapping[CompressionParameter, int] | None = None,
) -> bytes:
    """One frame that names its size and has no checksum, since the index has one. ``options`` are further ones of zstd.

    Raises NoMemoryError.
    """
    parameters = {
        CompressionParameter.compression_level: level,
        CompressionParameter.content_size_flag: 1,
        CompressionParameter.checksum_flag: 0,
        CompressionParameter.dict_id_flag: 0,
        **(options or {}),
    }
    if dictionary:  # all of it is to be in reach
        parameters[CompressionParameter.window_log] = _WINDOW_LOG
    with _memory_told(len(data)):
        compressor = ZstdCompressor(options=parameters, zstd_dict=_prefix(dictionary))  # type: ignore[arg-type]
        return compressor.compress(data, ZstdCompressor.FLUSH_FRAME)


def open_segment(segment: Segment, frame: Buffer, dictionary: bytes = b"") -> memoryview:
    """The bytes of the image that a frame holds, which are those that the index means.

    ``dictionary`` is what ``segment.dictionary`` says, of the old image. Raises FrameError, SegmentMismatchError and
    NoMemoryError.
    """
    return require_digest(segment, unpack_segment(segment, frame, dictionary))


def unpack_segment(
    segment: Segment, frame: Buffer, dictionary: bytes = b"", room: memoryview | None = None
) -> memoryview:
    """As ``open_segment``, without a look at what the bytes are; ``room`` as in ``decompress_segment``."""
    if len(frame) != segment.compressed:
        raise FrameError(f"segment {segment.number} has {len(frame)} bytes, its index says {segment.compressed}")
    return decompress_segment(frame, segment.size, dictionary, room)


def require_digest(segment: Segment, data: memoryview) -> memoryview:
    """The same bytes, where the index means them. Raises SegmentMismatchError."""
    found = hashlib.sha256(data).hexdigest()
    if found != segment.sha256:
        raise SegmentMismatchError(segment.number, found, segment.sha256)
    return data


def decompress_segment(
    frame: Buffer, raw_size: int, dictionary: bytes = b"", room: memoryview | None = None
) -> memoryview:
    """The ``raw_size`` bytes that exactly one frame holds, at the start of ``room`` or of new memory. Raises FrameError and NoMemoryError.

    Nothing is allocated before the header has named these bytes and a window of at most 8 MiB, and never more than for them:
    at most 3 times ``raw_size`` and 1 MiB. ``raw_size`` is at most 4 MiB, ``dictionary`` too: raises ValueError. Memory that the system
    hands out anew costs as much time as the unpacking: whoever unpacks many gives the same ``room`` again.
    """
    if not 0 < raw_size <= Index.SEGMENT or len(dictionary) > DICTIONARY or (room is not None and len(room) < raw_size):
        raise ValueError(f"no segment has {raw_size} bytes and a dictionary of {len(dictionary)}")
    if len(frame) > largest_frame(raw_size):
        raise FrameError(f"it has {len(frame)} bytes, which is too much for {raw_size}")
    check_header(frame, raw_size)
    options = {DecompressionParameter.window_log_max: _WINDOW_LOG}
    try:
        with _memory_told(raw_size):
            data = (memoryview(bytearray(raw_size)) if room is None else room)[:raw_size]
            decompressor = ZstdDecompressor(zstd_dict=_prefix(dictionary), options=options)  # type: ignore[arg-type]
            made, behind = _decompressed(decompressor, memoryview(frame), data)
    except ZstdError as error:
        raise FrameError(str(error)) from error
    if made != raw_size:
        raise FrameError(f"it holds {'more' if made > raw_size else 'less'} than the {raw_size} bytes that it names")
    if not decompressor.eof:
        raise FrameError("it does not end where it has to")
    if behind:
        raise FrameError(f"{behind} bytes are behind it")
    return data


def _decompressed(decompressor: ZstdDecompressor, frame: memoryview, room: memoryview) -> tuple[int, int]:
    """Fill the room with what a frame holds: how many bytes that is, and how many are behind its end.

    Where it is too much for the room, that is one more than fits. In portions, of which the binding has each twice for a moment: in one go that would be the whole segment.
    """
    made, fed, size = 0, 0, len(room)
    while not decompressor.eof and made <= size:
        portion = frame[fed : fed + _PORTION] if decompressor.needs_input else frame[:0]
        if decompressor.needs_input and not portion:
            break
        fed += len(portion)
        piece = decompressor.decompress(portion, min(_UNPACKED, size + 1 - made))
        fitting = min(len(piece), size - made)
        room[made : made + fitting] = piece[:fitting]
        made += len(piece)
    return made, len(decompressor.unused_data) + len(frame) - fed


@contextmanager
def _memory_told(size: int) -> Iterator[None]:
    """What libzstd and its binding raise when memory is missing, as NoMemoryError."""
    try:
        yield
    except MemoryError as error:
        raise NoMemoryError(size) from error
    except ZstdError as error:
        if _NO_MEMORY in str(error):
            raise NoMemoryError(size) from error
        raise


def _prefix(dictionary: bytes) -> tuple[ZstdDict, int] | None:
    """Content as it is, and not a dictionary of zstd's own format, whatever the first bytes look like."""
    return ZstdDict(dictionary, is_raw=True).as_prefix if dictionary else None
