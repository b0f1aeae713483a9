"""Errors of payloads: one class per situation. This room writes to no slot; after each the disk is as it was."""

from __future__ import annotations

from update_agent.errors import UpdateError


class PayloadError(UpdateError):
    """Base of everything that is wrong with an index, a frame or the image that a difference is made from."""


class IndexError_(PayloadError):  # noqa: N801, N818  (IndexError is Python's)
    """An index is not what an index is, or an image has a size that none can describe. ``problem`` is one line.

    Nothing of what it describes may be used.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(f"no usable index of an update: {problem}; the update has to be published again")
        self.problem = problem


class FrameError(PayloadError):
    """Bytes that were fetched are not the one frame that they have to be: cut, with something behind, too large, no zstd at all.

    At most the bytes that the index promises were unpacked, and none of them is handed out. They may be right when they are
    fetched again.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(f"no usable frame of an update: {problem}; it has to be fetched again")
        self.problem = problem


class SegmentMismatchError(PayloadError):
    """A frame could be unpacked, and holds something else than the index says. None of it is handed out.

    Of a difference, the frame or the old image may be the wrong one.
    """

    def __init__(self, number: int, found: str, expected: str) -> None:
        super().__init__(
            f"segment {number} of the update has the SHA-256 {found}, its index names {expected}; it has to be fetched again"
        )
        self.number, self.found, self.expected = number, found, expected


class OldImageError(PayloadError):
    """The image that a difference is made from cannot be read where the difference needs it. The full frames need none."""

    def __init__(self, offset: int, problem: str) -> None:
        super().__init__(
            f"the old slot image cannot be read at byte {offset}: {problem}; the update has to be installed in full"
        )
        self.offset, self.problem = offset, problem


class NoMemoryError(PayloadError):
    """There is not enough memory to pack or unpack a segment. The frame may be right: fetching it again would not help."""

    def __init__(self, size: int) -> None:
        super().__init__(f"there is not enough memory for a segment of {size} bytes; end other programs, and try again")
        self.size = size
