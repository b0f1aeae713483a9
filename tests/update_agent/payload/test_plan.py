"""What is still missing of a blob is asked for in few requests, and nothing is asked for twice."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.update_agent.payload.images import FULL, MIB
from update_agent.payload.index import Index
from update_agent.payload.plan import LARGEST_RANGE, ranges

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from update_agent.payload.index import Segment
    from update_agent.payload.plan import Range


def index(*lengths: int) -> Index:
    return Index.of(len(lengths) * FULL, "0" * 64, [(length, "0" * 64) for length in lengths])


def missing(segments: Sequence[Segment], there: Collection[int], largest: int = LARGEST_RANGE) -> list[Range]:
    return ranges((segment for segment in segments if segment.number not in there), largest)


def shown(found: object) -> list[tuple[int, int, list[int]]]:
    assert isinstance(found, list)
    return [(each.start, each.end, [segment.number for segment in each.segments]) for each in found]


def test_neighbours_are_one_request() -> None:
    assert shown(missing(index(10, 20, 30).segments, ())) == [(0, 60, [0, 1, 2])]


def test_what_is_there_is_not_asked_for() -> None:
    segments = index(10, 20, 30, 40, 50).segments
    assert shown(missing(segments, {0, 3})) == [(10, 60, [1, 2]), (100, 150, [4])]
    assert shown(missing(segments, range(5))) == []


def test_a_request_has_no_more_bytes_than_it_may() -> None:
    segments = index(3 * MIB, 3 * MIB, 2 * MIB, 1, 4 * MIB).segments
    assert LARGEST_RANGE == 8 * MIB
    assert shown(missing(segments, ())) == [
        (0, 8 * MIB, [0, 1, 2]),
        (8 * MIB, 12 * MIB + 1, [3, 4]),
    ]


def test_a_frame_that_is_larger_than_a_request_is_one_of_its_own() -> None:
    assert shown(missing(index(5, 50, 5, 5).segments, (), largest=10)) == [(0, 5, [0]), (5, 55, [1]), (55, 65, [2, 3])]


def test_ranges_of_segments_that_somebody_chose() -> None:
    segments = index(10, 20, 30, 40).segments
    assert shown(ranges([segments[0], segments[1], segments[3]])) == [(0, 30, [0, 1]), (60, 100, [3])]


@given(st.lists(st.integers(1, FULL), min_size=1, max_size=40), st.sets(st.integers(-2, 42)), st.integers(1, 20 * MIB))
def test_each_missing_segment_is_asked_for_once_and_nothing_else(
    lengths: list[int], verified: set[int], largest: int
) -> None:
    segments = index(*lengths).segments
    found = missing(segments, verified, largest)
    asked = [segment for each in found for segment in each.segments]
    assert asked == [segment for segment in segments if segment.number not in verified]
    assert sum(each.end - each.start for each in found) == sum(segment.compressed for segment in asked)
    for each in found:
        assert each.end - each.start <= largest or len(each.segments) == 1
    for before, after in itertools.pairwise(found):
        # Two requests only where one would ask for too much.
        assert before.end < after.start or (
            before.end == after.start and after.segments[0].end - before.start > largest
        )
