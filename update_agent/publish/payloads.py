"""Looks at what signed indexes say, and at the bulk data behind them, as a machine would that installs them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from update_agent.payload.errors import FrameError, IndexError_, SegmentMismatchError
from update_agent.payload.frames import open_segment
from update_agent.payload.index import DeltaIndex, Index
from update_agent.transport.errors import TransportError
from update_agent.transport.source import read_exactly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from update_agent.repository.release import Delta, Release
    from update_agent.transport.source import Source


class Payloads:
    """``source_of`` opens a blob by its name, to be read whole; None where only the indexes are looked at.

    ``report`` is given a step, the bytes of it that are done, and all of them.
    """

    def __init__(
        self,
        source_of: Callable[[str], Source] | None = None,
        report: Callable[[str, int, int], None] = lambda *_: None,
    ) -> None:
        self._source_of, self._report = source_of, report

    def of_release(self, release: Release, data: bytes) -> Iterator[str]:
        """What is wrong with the frames of a release, whose index is ``data``: one line each."""
        try:
            index = Index.parse(data)
        except IndexError_ as error:
            yield f"{release.index.name}: {error}"
            return
        found = (index.size, index.sha256, index.compressed)
        if found != (release.size, release.sha256, release.compressed):
            yield f"{release.index.name}: it is the index of another image than the release says"
        elif self._source_of is not None:
            yield from self._judged(release.blob, index, release.sha256)

    def of_delta(self, release: Release, delta: Delta, data: bytes) -> Iterator[str]:
        """The same for a difference; what it makes is not looked at, since that takes the old image."""
        try:
            index = DeltaIndex.parse(data)
        except IndexError_ as error:
            yield f"{delta.index.name}: {error}"
            return
        found = (index.size, index.sha256, index.from_sha256, index.compressed)
        if found != (release.size, release.sha256, delta.from_sha256, delta.compressed):
            yield f"{delta.index.name}: it is the index of another difference than the release says"
        elif self._source_of is not None:
            yield from self._judged(delta.blob, index, None)

    def _judged(self, blob: str, index: Index | DeltaIndex, sha256: str | None) -> Iterator[str]:
        try:
            found, image = self._hashed(blob, index)
        except (TransportError, FrameError, SegmentMismatchError) as error:
            yield f"{blob}: {error}"
            return
        if found != blob.partition(".")[0]:
            yield f"{blob}: it has the SHA-256 {found}"
        elif sha256 is not None and image != sha256:
            yield f"{blob}: it makes an image with the SHA-256 {image}, signed is {sha256}"

    def _hashed(self, blob: str, index: Index | DeltaIndex) -> tuple[str, str]:
        """Of the blob, and of the image as far as its frames need no other image."""
        if self._source_of is None:
            raise ValueError("there is nothing to read from")
        whole, image = hashlib.sha256(), hashlib.sha256()
        with self._source_of(blob).open(0, index.compressed) as reader:
            for segment in index.segments:
                frame = memoryview(bytearray(segment.compressed))
                frame = frame[: read_exactly(reader, frame)]
                whole.update(frame)
                if segment.dictionary is None:
                    image.update(open_segment(segment, frame))
                self._report(f"read {blob[:12]}", segment.end, index.compressed)
        return whole.hexdigest(), image.hexdigest()
