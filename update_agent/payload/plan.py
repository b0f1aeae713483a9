"""Which bytes of a blob are still to be fetched, as few requests as that takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from update_agent.payload.index import Segment

LARGEST_RANGE: Final = 8 << 20
"""Bytes of a request: what is lost at most when a connection breaks is one of its frames, not all of them."""


@dataclass(frozen=True)
class Range:
    """The bytes from ``start`` to before ``end`` of a blob: the frames of ``segments``, one behind the other."""

    start: int
    end: int
    segments: tuple[Segment, ...]


def ranges(wanted: Iterable[Segment], largest: int = LARGEST_RANGE) -> list[Range]:
    """The frames of these segments, which are in the order of the index.

    Neighbours are joined up to ``largest`` bytes; a larger frame is alone.
    """
    found: list[Range] = []
    group: list[Segment] = []
    for segment in wanted:
        if group and (segment.offset != group[-1].end or segment.end - group[0].offset > largest):
            found.append(_joined(group))
            group = []
        group.append(segment)
    return [*found, _joined(group)] if group else found


def _joined(group: list[Segment]) -> Range:
    return Range(group[0].offset, group[-1].end, tuple(group))
