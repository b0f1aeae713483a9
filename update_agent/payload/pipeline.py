"""Frames from a source into a sink: fetched, unpacked within bounds, hashed, and only then handed on.

A thread unpacks and another one hashes while the next frames come and the one before is written, over the ends of requests too; source and
sink are called by the caller's thread alone. In memory are at most two frames and three segments, always in the same places, and, of a
delta, a dictionary: 28 MiB where nothing can be compressed, however large the image is.
"""

from __future__ import annotations

import mmap
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import TYPE_CHECKING, Final

from update_agent.payload.delta import unpack_with
from update_agent.payload.errors import FrameError, SegmentMismatchError
from update_agent.payload.frames import require_digest
from update_agent.payload.plan import ranges
from update_agent.transport.errors import TransportError
from update_agent.transport.source import read_exactly

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from typing import Protocol

    from update_agent.payload.index import Segment
    from update_agent.transport.source import Source

    class Sink(Protocol):
        """Where segments go."""

        def __call__(self, segment: Segment, data: memoryview, /) -> None:
            """Take the bytes of a segment, which are those that its index means. They begin at a page, and are others when this returns."""

    Begun = tuple[Segment, Future[memoryview]]


AHEAD: Final = 3
"""Segments between the source and the sink."""
FRAMES: Final = 2
"""Of them those that are fetched and not unpacked yet."""
ATTEMPTS: Final = 3
"""How often a frame is fetched that comes as something else: somebody on the way may have changed it."""


def transfer(
    segments: Iterable[Segment], source: Source, sink: Sink, old: Callable[[int, int], bytes] | None = None
) -> None:
    """Fetch these segments of a blob, in their order, each to be handed to ``sink`` when it is what the index says.

    Neighbours are fetched with one request. ``old`` reads the old image for segments that need it, in a thread: see ``unpack_with``. Raises
    a TransportError, FrameError and SegmentMismatchError when a frame comes wrong every time, OldImageError, and what the sink
    raises: the segments that it was given before are good.
    """
    rest, done, failed = tuple(segments), 0, 0
    with ThreadPoolExecutor(1, "unpack") as unpacker, ThreadPoolExecutor(1, "hash") as hasher:
        unpacking = _Unpacking(unpacker, hasher, rest, old or _no_old_image)
        while done < len(rest):
            try:
                with closing(unpacking.begun(rest[done:], source)) as begun:
                    for segment, unpacked in begun:
                        sink(segment, unpacked.result())
                        done, failed = done + 1, 0
            except (FrameError, SegmentMismatchError):
                failed += 1
                if failed >= ATTEMPTS:
                    raise


def _no_old_image(_offset: int, _length: int) -> bytes:
    return b""


class _Unpacking:
    """Unpacks in two threads, always into the same memory: that of the system costs more time than the unpacking where it is new."""

    def __init__(
        self,
        unpacker: ThreadPoolExecutor,
        hasher: ThreadPoolExecutor,
        segments: Sequence[Segment],
        old: Callable[[int, int], bytes],
    ) -> None:
        self._unpacker, self._hasher, self._old = unpacker, hasher, old
        # Anonymous memory, which begins at a page, as O_DIRECT needs, and is there only as far as it is used.
        self._frames = _rooms(FRAMES, max((segment.compressed for segment in segments), default=0))
        self._rooms = _rooms(AHEAD, max((segment.size for segment in segments), default=0))
        self._unpacked: deque[Future[memoryview]] = deque(maxlen=FRAMES)

    def begun(self, segments: Sequence[Segment], source: Source) -> Generator[Begun]:
        """Segments in their order, each to be waited for. Where one cannot be fetched, those before it come first.

        When the next is asked for, the bytes of the one before are written over.
        """
        begun: deque[Begun] = deque()
        lost: TransportError | None = None
        try:
            try:
                for number, (segment, frame) in enumerate(self._fetched(segments, source)):
                    begun.append((segment, self._opened(segment, frame, self._rooms[number % AHEAD])))
                    if len(begun) == AHEAD:
                        yield begun.popleft()
            except TransportError as error:
                lost = error
            while begun:
                yield begun.popleft()
        finally:
            # Whoever comes next uses the same memory.
            wait(unpacked for _, unpacked in begun)
        if lost is not None:
            raise lost

    def _opened(self, segment: Segment, frame: memoryview, room: memoryview) -> Future[memoryview]:
        unpacked = self._unpacker.submit(unpack_with, segment, frame, self._old, room)
        self._unpacked.append(unpacked)
        return self._hasher.submit(lambda: require_digest(segment, unpacked.result()))

    def _fetched(self, segments: Sequence[Segment], source: Source) -> Iterator[tuple[Segment, memoryview]]:
        number = 0
        for span in ranges(segments):
            with source.open(span.start, span.end - span.start) as reader:
                for segment in span.segments:
                    if number >= FRAMES:
                        wait([self._unpacked[0]])  # the frame that was in this place
                    frame = self._frames[number % FRAMES][: segment.compressed]
                    yield segment, frame[: read_exactly(reader, frame)]
                    number += 1


def _rooms(count: int, size: int) -> list[memoryview]:
    return [memoryview(mmap.mmap(-1, max(1, size))) for _ in range(count)]
