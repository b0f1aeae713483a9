"""Differences between two slot images, segment by segment.

Each 2 MiB of the new image are one zstd frame, compressed against 4 MiB of the old one. So a machine needs these 4 MiB and the frame
to make a segment, no more, and can begin and go on with any. A segment for which the difference is not smaller is a full frame.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from backports.zstd import CompressionParameter

from update_agent.payload.errors import OldImageError
from update_agent.payload.frames import (
    LEVEL,
    BlobWriter,
    compress_segment,
    read_exactly,
    require_digest,
    unpack_segment,
)
from update_agent.payload.index import DICTIONARY, DeltaIndex
from update_agent.payload.match import OldBlocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from update_agent.payload.frames import Buffer, Made, Readable, Writable
    from update_agent.payload.index import Segment
    from update_agent.payload.match import Place

    class Seekable(Readable, Protocol):
        """An image that is read here and there."""

        def seek(self, offset: int, /) -> int:
            """Go to a byte of the image. Raises OSError."""


_TINY: Final = 2048
"""Bytes of a difference that is taken without a look at the full frame."""
_COPY: Final = {CompressionParameter.enable_long_distance_matching: 1}
"""With level 1 the way to copy a segment that is in the dictionary as a whole: 4 ms where level 9 takes 70, and no larger."""
_REACH: Final = {CompressionParameter.hash_log: 22}
"""So many places that all of the dictionary is remembered. By itself level 9 forgets its first half."""


def make(
    old: Seekable,
    new: Readable,
    blob: Writable,
    *,
    level: int = LEVEL,
    progress: Callable[[int], None] = lambda _: None,
) -> Made[DeltaIndex]:
    """Write the difference between two images into a blob; the new one is read once, from where it stands to its end.

    ``progress`` is given the bytes of the new image that are done. The same images give the same blob, with the same version of
    libzstd. Takes at most 120 MiB of memory, and 2 MiB more for each GiB of the old image. Raises OSError as the files do, and
    IndexError_ for a new image that is empty or too large; the blob then has part of it and is to be thrown away. It is not
    flushed.
    """
    old.seek(0)
    blocks = OldBlocks(old)
    out, whole, done = BlobWriter(blob), hashlib.sha256(), 0
    frames: list[tuple[int, str, int | None]] = []
    shift = -((DICTIONARY - DeltaIndex.SEGMENT) // 2)
    while data := read_exactly(new, DeltaIndex.SEGMENT):
        place = blocks.dictionary_for(data, done + shift) if data.strip(b"\0") else None
        if place and not place.expected:
            shift = place.start - done
        frame, start = _smallest(old, place, data, level)
        out.write(frame)
        whole.update(data)
        frames.append((len(frame), hashlib.sha256(data).hexdigest(), start))
        done += len(data)
        progress(done)
    return out.made(DeltaIndex.of(done, whole.hexdigest(), blocks.size, blocks.sha256, frames))


def _smallest(old: Seekable, place: Place | None, data: bytes, level: int) -> tuple[bytes, int | None]:
    """The smallest frame for a segment, and where its dictionary begins."""
    if place is None:
        return compress_segment(data, level=level), None
    old.seek(place.start)
    dictionary = read_exactly(old, DICTIONARY)
    frame = compress_segment(data, dictionary, level=1, options=_COPY) if place.complete else b""
    if not 0 < len(frame) <= _TINY:
        frame = compress_segment(data, dictionary, level=level, options=_REACH)
    if len(frame) <= _TINY:
        return frame, place.start
    full = compress_segment(data, level=level)
    return (frame, place.start) if len(frame) < len(full) else (full, None)


def apply_segment(segment: Segment, frame: Buffer, old: Callable[[int, int], bytes]) -> memoryview:
    """The bytes of the new image that a frame of a delta, or of a full image, stands for.

    ``old`` gives bytes of the old image: those from an offset on, of a length. It is asked at most once, for at most 4 MiB. Raises
    FrameError and SegmentMismatchError, and OldImageError where the old image cannot be read.
    """
    return require_digest(segment, unpack_with(segment, frame, old))


def unpack_with(
    segment: Segment, frame: Buffer, old: Callable[[int, int], bytes], room: memoryview | None = None
) -> memoryview:
    """As ``apply_segment``, without a look at what the bytes are; ``room`` as in ``decompress_segment``."""
    cut = segment.dictionary
    if cut is None:
        return unpack_segment(segment, frame, room=room)
    try:
        dictionary = old(cut.start, cut.size)
    except OSError as error:
        raise OldImageError(cut.start, error.strerror or str(error)) from error
    if len(dictionary) != cut.size:
        raise OldImageError(cut.start, f"there are {len(dictionary)} of {cut.size} bytes")
    return unpack_segment(segment, frame, dictionary, room)
