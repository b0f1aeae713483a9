"""Frames from a source into a sink: fetched, unpacked within bounds, hashed, and only then handed on.

A thread unpacks and hashes a segment while the next frame comes and the one before is written; source and sink are called by the caller's
thread alone. In memory are at most two frames, the segments that they hold and, of a delta, a dictionary: 32 MiB, however large the image is.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from update_agent.payload.delta import apply_segment
from update_agent.payload.errors import FrameError, SegmentMismatchError
from update_agent.payload.plan import ranges
from update_agent.transport.errors import TransportError
from update_agent.transport.source import read_exactly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Protocol

    from update_agent.payload.index import Segment
    from update_agent.payload.plan import Range
    from update_agent.transport.source import Reader, Source

    class Sink(Protocol):
        """Where segments go."""

        def __call__(self, segment: Segment, data: bytearray, /) -> None:
            """Take the bytes of a segment, which are those that its index means."""


AHEAD: Final = 2
"""Segments between the source and the sink."""
ATTEMPTS: Final = 3
"""How often a frame is fetched that comes as something else: somebody on the way may have changed it."""


def transfer(
    segments: Iterable[Segment], source: Source, sink: Sink, old: Callable[[int, int], bytes] | None = None
) -> None:
    """Fetch these segments of a blob, in their order, each to be handed to ``sink`` when it is what the index says.

    Neighbours are fetched with one request. ``old`` reads the old image for segments that need it, in a thread: see ``apply_segment``. Raises
    a TransportError, FrameError and SegmentMismatchError when a frame comes wrong every time, OldImageError, and what the sink
    raises: the segments that it was given before are good.
    """
    with ThreadPoolExecutor(1, "unpack") as thread:

        def unpack(segment: Segment, frame: memoryview) -> Future[bytearray]:
            return thread.submit(apply_segment, segment, frame, old or _no_old_image)

        for span in ranges(segments):
            _transfer_range(span, source, sink, unpack)


def _no_old_image(_offset: int, _length: int) -> bytes:
    return b""


def _transfer_range(
    span: Range, source: Source, sink: Sink, unpack: Callable[[Segment, memoryview], Future[bytearray]]
) -> None:
    rest, failed = span.segments, 0
    while rest:
        try:
            with source.open(rest[0].offset, span.end - rest[0].offset) as reader:
                for segment, unpacked in _unpacked(rest, reader, unpack):
                    data = unpacked.result()
                    sink(segment, data)
                    rest, failed = rest[1:], 0
                    del unpacked, data  # else the bytes would stay while the next ones come
        except (FrameError, SegmentMismatchError):
            failed += 1
            if failed >= ATTEMPTS:
                raise


def _unpacked(
    segments: Iterable[Segment], reader: Reader, unpack: Callable[[Segment, memoryview], Future[bytearray]]
) -> Iterator[tuple[Segment, Future[bytearray]]]:
    """Begun, in their order. Where one cannot be fetched, those before it come first."""
    begun: deque[tuple[Segment, Future[bytearray]]] = deque()
    lost: TransportError | None = None
    for segment in segments:
        frame = memoryview(bytearray(segment.compressed))
        try:
            frame = frame[: read_exactly(reader, frame)]
        except TransportError as error:
            lost = error
            break
        begun.append((segment, unpack(segment, frame)))
        if len(begun) == AHEAD:
            yield begun.popleft()
    while begun:
        yield begun.popleft()
    if lost is not None:
        raise lost
