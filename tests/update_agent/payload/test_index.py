"""An index comes from outside: it is what it has to be, or nothing of it is used."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.update_agent.payload.images import DELTA, FULL, MIB
from tests.update_agent.payload.limited import run_limited
from update_agent.errors import UpdateError
from update_agent.payload.errors import IndexError_
from update_agent.payload.index import LARGEST, MOST_SEGMENTS, DeltaIndex, Dictionary, Index, Segment, largest_frame

A, B, C, OLD = "a" * 64, "b" * 64, "c" * 64, "0123456789abcdef" * 4
FRAMES = [[0, 100, A], [100, 7, B], [107, 30, C]]
CUTS = [[0, 100, A, None], [100, 7, B, 0], [107, 30, C, 5 * MIB]]


def text(**changes: object) -> bytes:
    """An index as another program would write it; a change to None leaves the field out."""
    fields = {"format": 1, "size": 2 * FULL + 5, "sha256": OLD, "segment": FULL, "segments": FRAMES, **changes}
    return json.dumps({name: value for name, value in fields.items() if value is not None}, indent=1).encode()


def delta_text(**changes: object) -> bytes:
    fields = {"size": 2 * DELTA + 5, "segment": DELTA, "segments": CUTS, "from-size": 6 * MIB, "from-sha256": A}
    return text(**{**fields, **changes})


def with_entry(number: int, *values: object) -> list[object]:
    return [*FRAMES[:number], list(values), *FRAMES[number + 1 :]]


def with_cut(number: int, *values: object) -> list[object]:
    return [*CUTS[:number], list(values), *CUTS[number + 1 :]]


def test_an_index_says_where_each_part_of_the_image_is() -> None:
    index = Index.parse(text())
    assert (index.size, index.sha256, index.compressed) == (2 * FULL + 5, OLD, 137)
    assert index.segments == (
        Segment(0, 0, FULL, 0, 100, A),
        Segment(1, FULL, FULL, 100, 7, B),
        Segment(2, 2 * FULL, 5, 107, 30, C),
    )
    assert [segment.end for segment in index.segments] == [100, 107, 137]


def test_the_index_of_a_delta_says_which_part_of_the_old_image_is_the_dictionary() -> None:
    index = DeltaIndex.parse(delta_text())
    assert (index.from_size, index.from_sha256, index.compressed) == (6 * MIB, A, 137)
    # The old image ends 1 MiB behind where the last one begins.
    assert [segment.dictionary for segment in index.segments] == [
        None,
        Dictionary(0, 4 * MIB),
        Dictionary(5 * MIB, MIB),
    ]


def test_what_is_written_is_the_format_as_it_is_documented() -> None:
    """A published index is read by programs that are older and younger than this one."""
    assert Index.parse(text()).encode().decode() == (
        f'{{"format":1,"size":8388613,"sha256":"{OLD}","segment":4194304,'
        f'"segments":[[0,100,"{A}"],[100,7,"{B}"],[107,30,"{C}"]]}}\n'
    )
    assert DeltaIndex.parse(delta_text()).encode().decode() == (
        f'{{"format":1,"size":4194309,"sha256":"{OLD}","segment":2097152,"from-size":6291456,"from-sha256":"{A}",'
        f'"segments":[[0,100,"{A}",null],[100,7,"{B}",0],[107,30,"{C}",5242880]]}}\n'
    )


def test_what_a_later_format_adds_is_left_alone() -> None:
    assert Index.parse(text(**{"made-by": "a later program", "more": {"x": 1}})) == Index.parse(text())


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "not JSON"),
        (b"\xef\xbb\xbf{}", "not ASCII"),
        (b'{"format":1,"format":1}', "'format' stands in it twice"),
        (text().replace(b'"size"', b'"size": 1, "size"'), "'size' stands in it twice"),
        (b"[]", "not a JSON object"),
        (b'"format"', "not a JSON object"),
        (text() + b"{}", "not JSON"),
        (text()[:-1], "not JSON"),
        (text(format=None), "format is missing"),
        (text(format=2), "format is 2, and this program knows 1"),
        (text(format=True), "format is True"),
        (text(format="1"), "format is '1'"),
        (text(size=None), "size is missing"),
        (text(size=0, segments=[]), "size is 0"),
        (text(size=-1), "no number from 0"),
        (text().replace(b'"size": 8388613', b'"size": -0'), "no number from 0"),
        (text(size=8388613.0), "no whole number"),
        (text().replace(b"8388613", b"8e6"), "no whole number"),
        (text().replace(b"8388613", b"NaN"), "no whole number"),
        (text().replace(b"8388613", b"-Infinity"), "no whole number"),
        (text(size=[1]), r"size is \[1\]"),
        (text(size=10**13), "no number from 0"),
        (text(size=10**13 - 1), "the largest that an index can describe"),
        (text().replace(b"8388613", b"9" * 100_000), "no number from 0"),
        (text(size=2 * FULL), "it has 3 segments, 8388608 bytes are 2"),
        (text(size=3 * FULL + 1), "it has 3 segments, 12582913 bytes are 4"),
        (text(size=1, segments=[]), "it has 0 segments, 1 bytes are 1"),
        (text(sha256=None), "sha256 is missing"),
        (text(sha256=A[1:]), "sha256 is"),
        (text(sha256=A + "a"), "sha256 is"),
        (text(sha256=A + "\n"), "sha256 is"),
        (text(sha256=A.upper()), "lower-case"),
        (text(sha256=7), "sha256 is 7"),
        (text(sha256=[A]), "sha256 is"),
        (text(segment=DELTA), "segment is 2097152, and this program knows 4194304"),
        (text(segment=1), "segment is 1"),
        (text(segment=0), "segment is 0"),
        (text(segments=None), "segments is missing"),
        (text(segments={}), "expected a list"),
        (text(segments=A), "expected a list"),
        (text(segments=[1, 2, 3]), "entry 0 of segments is 1"),
        (text(segments=CUTS), "expected a list of 3 values"),
        (text(segments=with_entry(1, 100, 7)), "entry 1 of segments"),
        (text(segments=with_entry(1, "100", 7, B)), "the offset of segment 1 is '100'"),
        (text(segments=with_entry(1, None, 7, B)), "the offset of segment 1 is None"),
        (text(segments=with_entry(1, True, 7, B)), "the offset of segment 1 is True"),
        (text(segments=with_entry(1, 99, 7, B)), "begins at byte 99 of the blob, the one before ends at 100"),
        (text(segments=with_entry(1, 101, 7, B)), "begins at byte 101 of the blob, the one before ends at 100"),
        (text(segments=with_entry(0, 1, 99, A)), "segment 0 begins at byte 1 of the blob"),
        (text(segments=with_entry(1, -100, 7, B)), "no number from 0"),
        (text(segments=[FRAMES[1], FRAMES[0], FRAMES[2]]), "segment 0 begins at byte 100"),
        (text(segments=with_entry(1, 100, 0, B)), "segment 1 has 0 bytes in the blob"),
        (text(segments=with_entry(1, 100, -7, B)), "no number from 0"),
        (text(segments=with_entry(1, 100, 10**12, B)), "segment 1 has 1000000000000 bytes in the blob"),
        (text(segments=with_entry(2, 107, largest_frame(5) + 1, C)), "segment 2 has 1030 bytes in the blob"),
        (text(segments=with_entry(1, 100, 7, "B" * 64)), "the SHA-256 of segment 1"),
        (text(segments=with_entry(1, 100, 7, None)), "the SHA-256 of segment 1"),
        (b"[" * 100, "more"),
        (b"[" * LARGEST, "more"),
        (b'{"a":' * 1_000_000, "more"),
        (b'{"a":' + (b"[" + b" " * 64) * 100_000 + b"1", "nested too deeply"),
        (b'{"segments":[' + b"0," * 4_000_000 + b"0]}", "more ,"),
        (b'{"segments":[' + b"[]," * 2_000_000 + b"0]}", "more "),
        (b'{"segments":[' + b"{}," * 2_000_000 + b"0]}", "more "),
        (text() + b" " * LARGEST, f"more than {LARGEST}"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nothing_else_is_an_index(data: bytes, problem: str) -> None:
    with pytest.raises(IndexError_, match=problem) as caught:
        Index.parse(data)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert isinstance(caught.value, UpdateError)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"from-size": None}, "from-size is missing"),
        ({"from-size": -5}, "no number from 0"),
        ({"from-size": "6291456"}, "from-size is '6291456'"),
        ({"from-sha256": None}, "from-sha256 is missing"),
        ({"from-sha256": "../../etc/passwd"}, "from-sha256 is"),
        ({"segment": FULL}, "segment is 4194304, and this program knows 2097152"),
        ({"segments": FRAMES}, "expected a list of 4 values"),
        ({"segments": with_cut(1, 100, 7, B, -1)}, "no number from 0"),
        ({"segments": with_cut(1, 100, 7, B, False)}, "the dictionary of segment 1 is False"),
        ({"segments": with_cut(1, 100, 7, B, "0")}, "the dictionary of segment 1 is '0'"),
        ({"segments": with_cut(1, 100, 7, B, 6 * MIB - 7)}, "of an old image of 6291456"),
        ({"segments": with_cut(1, 100, 7, B, 10**13 - 1)}, "of an old image of 6291456"),
        ({"from-size": 0}, "of an old image of 0"),
    ],
)
def test_nothing_else_is_an_index_of_a_delta(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(IndexError_, match=problem):
        DeltaIndex.parse(delta_text(**changes))


def test_a_full_image_is_no_delta_and_the_other_way_round() -> None:
    with pytest.raises(IndexError_):
        DeltaIndex.parse(text())
    with pytest.raises(IndexError_):
        Index.parse(delta_text())


def test_an_index_that_is_not_consistent_cannot_be_made_either() -> None:
    index = Index.parse(text())
    first, second, third = index.segments
    for wrong in (
        replace(second, start=FULL + 1),
        replace(second, size=FULL - 1),
        replace(second, number=2),
        replace(second, offset=107),
        replace(second, dictionary=Dictionary(0, 4 * MIB)),
    ):
        with pytest.raises(IndexError_):
            replace(index, segments=(first, wrong, third))
    delta = DeltaIndex.parse(delta_text())
    longer = replace(delta.segments[2], dictionary=Dictionary(5 * MIB, MIB + 1))
    with pytest.raises(IndexError_, match="dictionary of segment 2"):
        replace(delta, segments=(*delta.segments[:2], longer))
    with pytest.raises(IndexError_, match="a number of very many digits"):
        replace(index, size=10**5000)


@pytest.mark.slow
def test_the_largest_image_has_an_index_that_is_read_again_and_takes_less_than_64_mib_of_memory() -> None:
    size = MOST_SEGMENTS * DELTA
    # Frames and dictionaries as far behind as they can be, so that all numbers are long.
    frames = ((largest_frame(DELTA), A, 10**12) for _ in range(MOST_SEGMENTS))
    data = DeltaIndex.of(size, A, 10**13 - 1, B, frames).encode()
    assert len(data) <= LARGEST
    program = "from update_agent.payload.index import DeltaIndex; data = sys.stdin.buffer.read(); limit(memory)"
    program += "; print(DeltaIndex.parse(data).size)"
    assert run_limited(program, 64 * MIB, data) == f"{size}\n"
    # So that it is known that the limit is one.
    assert "MemoryError" in run_limited(program, 16 * MIB, data)
    with pytest.raises(IndexError_, match="the largest that an index can describe"):
        Index.of(MOST_SEGMENTS * FULL + 1, A, [(1, A)])


@pytest.mark.parametrize("unit", [b"[],", b"{},", b'"",', b"0,", b"[[", b"[0,", b"9", b" ", b'"\\u0000', b"\x00"])
def test_no_text_takes_many_times_its_length_of_memory(unit: bytes) -> None:
    data = (b'{"format":1,"segments":[' + unit * (LARGEST // len(unit)))[:LARGEST]
    tracemalloc.start()
    try:
        with pytest.raises(IndexError_):
            Index.parse(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(data)


digests = st.text("0123456789abcdef", min_size=64, max_size=64)


@st.composite
def indexes(draw: st.DrawFn) -> Index | DeltaIndex:
    kind: type[Index | DeltaIndex] = draw(st.sampled_from([Index, DeltaIndex]))
    size = draw(st.integers(1, 20 * MIB))
    from_size = draw(st.integers(8, 10**13 - 1))
    frames = []
    for start in range(0, size, kind.SEGMENT):
        length = draw(st.integers(1, largest_frame(min(kind.SEGMENT, size - start))))
        frames.append((length, draw(digests), draw(st.none() | st.integers(0, from_size - 8))))
    if kind is Index:
        return Index.of(size, draw(digests), [frame[:2] for frame in frames])
    return DeltaIndex.of(size, draw(digests), from_size, draw(digests), frames)


@given(indexes())
def test_what_was_written_is_read(index: Index | DeltaIndex) -> None:
    assert type(index).parse(index.encode()) == index
    # And says the same to a program that only knows JSON.
    told = json.loads(index.encode())
    assert [entry[:3] for entry in told["segments"]] == [[s.offset, s.compressed, s.sha256] for s in index.segments]
    assert sum(entry[1] for entry in told["segments"]) == index.compressed
    assert told["size"] == sum(segment.size for segment in index.segments)


@given(indexes(), st.data())
def test_a_damaged_index_is_refused_or_still_consistent(index: Index | DeltaIndex, data: st.DataObject) -> None:
    damaged = bytearray(index.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 5))] = data.draw(
            st.binary(max_size=4) | st.just(b"99") | st.just(b"-")
        )
    try:
        found = type(index).parse(bytes(damaged))
    except IndexError_:
        return
    assert type(index).parse(found.encode()) == found
    assert sum(segment.size for segment in found.segments) == found.size
