"""The index of a published slot: where in a blob each part of the slot image is, and what it must be.

The formats, as JSON in ASCII; all numbers are whole, not negative, and below 10**13; SHA-256 in lower-case hexadecimal. Fields
that are not known are left for later formats.

    full   {"format": 1, "size": bytes of the image, "sha256": of the image, "segment": 4194304,
            "segments": [[offset in the blob, bytes there, "sha256 of the raw segment"], ...]}
    delta  {"format": 1, "size", "sha256", "segment": 2097152, "from-size": bytes of the old image, "from-sha256": of the old image,
            "segments": [[offset, bytes, "sha256", where in the old image the dictionary begins | null], ...]}

Segment ``i`` is the bytes from ``i * segment`` on of the image; the last one is shorter where the size is no multiple. Each is one
frame in the blob, the frames stand there in this order, and nothing is between them. A frame that has no dictionary is a full
one; the dictionary of another is the 4 MiB of the old image from there on, fewer at its end.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, Self

from update_agent.payload import document
from update_agent.payload.errors import IndexError_

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LARGEST: Final = document.LARGEST
"""Bytes of the longest index that is read or made."""
FORMAT: Final = 1
DICTIONARY: Final = 4 << 20
"""Bytes of the old image that are the dictionary of a segment."""
SMALLEST_DICTIONARY: Final = 8
"""Bytes; zstd takes no smaller one."""
_BYTES_PER_ENTRY: Final = 120
"""Of the longest that can be written."""
MOST_SEGMENTS: Final = (LARGEST - 4096) // _BYTES_PER_ENTRY
"""More than these can become longer than ``LARGEST``: images of 272 GiB, and deltas of 136 GiB, and no larger ones."""


def largest_frame(size: int) -> int:
    """Bytes of the largest frame that holds ``size`` bytes: what zstd says of the worst that it makes, and room for a header."""
    return size + (size >> 8) + 1024


@dataclass(frozen=True, slots=True)
class Dictionary:
    """``size`` bytes from ``start`` on of the old image, that a segment of a delta is unpacked with."""

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Part ``number`` of a slot image.

    ``size`` bytes from ``start`` on of the image, with the SHA-256 ``sha256``, are ``compressed`` bytes from ``offset`` on of the
    blob. Of a delta, ``dictionary`` says what of the old image is needed; None: nothing, the frame is a full one.
    """

    number: int
    start: int
    size: int
    offset: int
    compressed: int
    sha256: str
    dictionary: Dictionary | None = None

    @property
    def end(self) -> int:
        """The byte of the blob behind the frame."""
        return self.offset + self.compressed


@dataclass(frozen=True)
class Index:
    """A whole slot image of ``size`` bytes as frames. None can be made that is not consistent: raises IndexError_."""

    SEGMENT: ClassVar[int] = 4 << 20

    size: int
    sha256: str
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        _check_image(self.size, self.sha256)
        _check_segments(self.segments, self.size, self.SEGMENT)
        if any(segment.dictionary is not None for segment in self.segments):
            raise IndexError_("a segment of a full image has a dictionary")

    @property
    def compressed(self) -> int:
        """Bytes of the blob."""
        return self.segments[-1].end

    @classmethod
    def of(cls, size: int, sha256: str, frames: Iterable[tuple[int, str]]) -> Self:
        """The index of frames that stand one behind the other: of each the bytes in the blob, and the SHA-256 of the segment."""
        whole = ((compressed, digest, None) for compressed, digest in frames)
        return cls(size, sha256, _segments(size, cls.SEGMENT, whole))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The index in these bytes, which come from outside. Raises IndexError_."""
        fields = _open(data, cls.SEGMENT)
        entries = document.entries_field(fields, "segments", 3)
        return cls(
            document.number_field(fields, "size"),
            document.digest_field(fields, "sha256"),
            _parse_segments(entries, document.number_field(fields, "size"), cls.SEGMENT, 0),
        )

    def encode(self) -> bytes:
        """Its bytes, at most ``LARGEST``; the same for the same index."""
        entries = [[segment.offset, segment.compressed, segment.sha256] for segment in self.segments]
        return _encode({"size": self.size, "sha256": self.sha256, "segment": self.SEGMENT}, entries)


@dataclass(frozen=True)
class DeltaIndex:
    """A slot image of ``size`` bytes as the difference to one of ``from_size`` bytes. Raises IndexError_, as ``Index`` does.

    What it gives is right only where the old image has the SHA-256 ``from_sha256``; elsewhere segments do not match theirs.
    """

    SEGMENT: ClassVar[int] = 2 << 20

    size: int
    sha256: str
    from_size: int
    from_sha256: str
    segments: tuple[Segment, ...]

    def __post_init__(self) -> None:
        _check_image(self.size, self.sha256)
        document.whole_number(self.from_size, "from-size")
        document.digest(self.from_sha256, "from-sha256")
        _check_segments(self.segments, self.size, self.SEGMENT)
        for segment in self.segments:
            found = segment.dictionary
            if found is not None and found != dictionary(found.start, self.from_size):
                raise IndexError_(f"the dictionary of segment {segment.number} is not what the old image has there")

    @property
    def compressed(self) -> int:
        """Bytes of the blob."""
        return self.segments[-1].end

    @classmethod
    def of(
        cls, size: int, sha256: str, from_size: int, from_sha256: str, frames: Iterable[tuple[int, str, int | None]]
    ) -> Self:
        """As ``Index.of``, with where the dictionary of each frame begins."""
        cut = (
            (compressed, digest, None if start is None else dictionary(start, from_size))
            for compressed, digest, start in frames
        )
        return cls(size, sha256, from_size, from_sha256, _segments(size, cls.SEGMENT, cut))

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The index in these bytes, which come from outside. Raises IndexError_."""
        fields = _open(data, cls.SEGMENT)
        entries = document.entries_field(fields, "segments", 4)
        from_size = document.number_field(fields, "from-size")
        return cls(
            document.number_field(fields, "size"),
            document.digest_field(fields, "sha256"),
            from_size,
            document.digest_field(fields, "from-sha256"),
            _parse_segments(entries, document.number_field(fields, "size"), cls.SEGMENT, from_size),
        )

    def encode(self) -> bytes:
        """Its bytes, at most ``LARGEST``; the same for the same index."""
        entries = [
            [
                segment.offset,
                segment.compressed,
                segment.sha256,
                None if segment.dictionary is None else segment.dictionary.start,
            ]
            for segment in self.segments
        ]
        old = {"from-size": self.from_size, "from-sha256": self.from_sha256}
        return _encode({"size": self.size, "sha256": self.sha256, "segment": self.SEGMENT, **old}, entries)


def dictionary(start: int, from_size: int) -> Dictionary:
    """What the old image of ``from_size`` bytes has from ``start`` on. Raises IndexError_ where that is too little."""
    if not 0 <= start <= from_size - SMALLEST_DICTIONARY:
        raise IndexError_(f"a dictionary begins at byte {document.shown(start)} of an old image of {from_size}")
    return Dictionary(start, min(DICTIONARY, from_size - start))


def _segments(size: int, length: int, frames: Iterable[tuple[int, str, Dictionary | None]]) -> tuple[Segment, ...]:
    offset, found = 0, []
    for number, (compressed, sha256, cut) in enumerate(frames):
        start = number * length
        found.append(Segment(number, start, min(length, size - start), offset, compressed, sha256, cut))
        offset += compressed
    return tuple(found)


def _parse_segments(entries: Sequence[Sequence[object]], size: int, length: int, from_size: int) -> tuple[Segment, ...]:
    """Values of the right kinds; whether they fit together is checked where the index is made of them."""
    found = []
    for number, (offset, compressed, sha256, *more) in enumerate(entries):
        start, name = number * length, f"of segment {number}"
        cut = None
        if more and more[0] is not None:
            cut = dictionary(document.whole_number(more[0], f"the dictionary {name}"), from_size)
        found.append(
            Segment(
                number,
                start,
                min(length, size - start),
                document.whole_number(offset, f"the offset {name}"),
                document.whole_number(compressed, f"the length {name}"),
                document.digest(sha256, f"the SHA-256 {name}"),
                cut,
            )
        )
    return tuple(found)


def _check_image(size: int, sha256: str) -> None:
    if document.whole_number(size, "size") == 0:
        raise IndexError_("size is 0, and an image has at least one byte")
    document.digest(sha256, "sha256")


def _check_segments(segments: Sequence[Segment], size: int, length: int) -> None:
    """They are the whole image, in order, and the whole blob, in order, without gaps and overlaps."""
    needed = -(-size // length)
    if needed > MOST_SEGMENTS:
        raise IndexError_(f"size is {size}, and the largest that an index can describe is {MOST_SEGMENTS * length}")
    if len(segments) != needed:
        raise IndexError_(f"it has {len(segments)} segments, {size} bytes are {needed}")
    offset = 0
    for number, segment in enumerate(segments):
        start = number * length
        place = (segment.number, segment.start, segment.size)
        if place != (number, start, min(length, size - start)):
            raise IndexError_(f"segment {number} is not the part of the image that it has to be")
        if segment.offset != offset:
            raise IndexError_(
                f"segment {number} begins at byte {document.shown(segment.offset)} of the blob, the one before ends at {offset}"
            )
        most = largest_frame(segment.size)
        if not 0 < document.whole_number(segment.compressed, f"the length of segment {number}") <= most:
            raise IndexError_(f"segment {number} has {segment.compressed} bytes in the blob, expected 1 to {most}")
        document.digest(segment.sha256, f"the SHA-256 of segment {number}")
        offset = segment.end


def _open(data: bytes, length: int) -> dict[str, object]:
    fields = document.load(data)
    for name, known in (("format", FORMAT), ("segment", length)):
        found = document.number_field(fields, name)
        if found != known:
            raise IndexError_(f"{name} is {found}, and this program knows {known}")
    return fields


def _encode(fields: dict[str, object], entries: Sequence[Sequence[object]]) -> bytes:
    return json.dumps({"format": FORMAT, **fields, "segments": entries}, separators=(",", ":")).encode("ascii") + b"\n"
