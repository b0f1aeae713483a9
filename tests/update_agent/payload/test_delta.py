"""A difference makes the new image of the old one, and zstd alone makes the same of it."""

from __future__ import annotations

import hashlib
import io
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.update_agent.payload.images import DELTA, FULL, MIB, images, noise, piece
from update_agent.payload.delta import apply_segment, make
from update_agent.payload.errors import FrameError, IndexError_, OldImageError, SegmentMismatchError
from update_agent.payload.frames import Made, compress_segment
from update_agent.payload.index import DeltaIndex, Dictionary, Segment
from update_agent.payload.match import BLOCK, OldBlocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def made_of(old: bytes, new: bytes, level: int = 3) -> tuple[Made[DeltaIndex], bytes]:
    blob = io.BytesIO()
    return make(io.BytesIO(old), io.BytesIO(new), blob, level=level), blob.getvalue()


def reader(image: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: image[offset : offset + length]


def applied(index: DeltaIndex, blob: bytes, old: bytes) -> bytes:
    return b"".join(
        apply_segment(segment, blob[segment.offset : segment.end], reader(old)) for segment in index.segments
    )


OLD = piece(1, 3 * MIB) + noise(2, 3 * MIB) + bytes(MIB) + noise(3, MIB + 777)
# The noise is 1 MiB further on, and one byte in it is another; something new; something is gone.
NEW = piece(1, 2 * MIB) + noise(9, 2 * MIB) + OLD[3 * MIB : 4 * MIB] + b"?" + OLD[4 * MIB + 1 :] + b"the end"


def test_zstd_makes_the_new_image_of_dictionaries_that_dd_cuts(tmp_path: Path) -> None:
    old, new, blob = tmp_path / "old.img", tmp_path / "new.img", tmp_path / "new.delta"
    old.write_bytes(OLD)
    new.write_bytes(NEW)
    with old.open("rb") as before, new.open("rb") as after, blob.open("wb") as sink:
        made = make(before, after, sink)
    cut, frame = tmp_path / "dictionary", tmp_path / "frame"

    def dd(source: Path, target: Path, skip: int, count: int) -> None:
        words = ["dd", f"if={source}", f"of={target}", "iflag=skip_bytes,count_bytes", f"skip={skip}", f"count={count}"]
        subprocess.run([*words, "status=none"], check=True)

    def zstd(*words: str) -> bytes:
        return subprocess.run(["zstd", "-dcq", *words, frame], capture_output=True, check=True).stdout

    image = b""
    for segment in made.index.segments:
        dd(blob, frame, segment.offset, segment.compressed)
        if segment.dictionary is None:
            image += zstd()
            continue
        dd(old, cut, segment.dictionary.start, 4 << 20)
        assert cut.stat().st_size == segment.dictionary.size
        patched = zstd(f"--patch-from={cut}")
        assert zstd("-D", str(cut)) == patched
        image += patched
    assert image == NEW
    sums = subprocess.run(["sha256sum", new, old, blob], capture_output=True, text=True, check=True).stdout.split()[::2]
    index = made.index
    assert [index.sha256, index.from_sha256, made.blob_sha256] == sums
    assert (index.from_size, index.size, made.blob_size) == (len(OLD), len(NEW), blob.stat().st_size)
    kinds = [segment.dictionary is None for segment in index.segments]
    assert any(kinds)
    assert not all(kinds)


def test_a_patch_that_zstd_made_is_taken(tmp_path: Path) -> None:
    old, new, frame = tmp_path / "old", tmp_path / "new", tmp_path / "frame"
    old.write_bytes(noise(1, 4 * MIB))
    new.write_bytes(noise(1, 4 * MIB)[MIB : 3 * MIB - 5] + b"!")
    subprocess.run(["zstd", "-q", "-9", f"--patch-from={old}", new, "-o", frame], check=True)
    sha256 = hashlib.sha256(new.read_bytes()).hexdigest()
    segment = Segment(0, 0, new.stat().st_size, 0, frame.stat().st_size, sha256, Dictionary(0, 4 * MIB))
    assert frame.stat().st_size < 1000
    assert apply_segment(segment, frame.read_bytes(), reader(old.read_bytes())) == new.read_bytes()


@settings(max_examples=15, deadline=None)
@given(images, images, st.integers(0, 4 * MIB), st.booleans())
def test_any_image_is_made_of_any_other(old: bytes, fresh: bytes, cut: int, related: bool) -> None:
    new = old[:cut] + fresh + old[cut:] if related else fresh
    made, blob = made_of(old, new, level=1)
    index = DeltaIndex.parse(made.index.encode())
    assert applied(index, blob, old) == new
    assert (index.sha256, index.size) == (hashlib.sha256(new).hexdigest(), len(new))
    assert (index.from_sha256, index.from_size) == (hashlib.sha256(old).hexdigest(), len(old))


def test_no_segment_is_larger_than_the_frame_that_needs_no_old_image() -> None:
    made, _ = made_of(OLD, NEW)
    for segment in made.index.segments:
        full = compress_segment(NEW[segment.start : segment.start + segment.size], level=3)
        assert segment.compressed <= max(len(full), 2048)
        assert segment.dictionary is not None or segment.compressed == len(full)


def test_what_is_the_same_costs_next_to_nothing() -> None:
    old = noise(1, 16 * MIB)
    made, _ = made_of(old, old)
    assert made.blob_size < 8 * 600
    assert all(segment.dictionary is not None for segment in made.index.segments)


def test_what_moved_is_found_wherever_it_is_now() -> None:
    old = noise(1, 24 * MIB)
    new = old[20 * MIB :] + old[10 * MIB + 37 * BLOCK : 14 * MIB + 37 * BLOCK] + old[: 4 * MIB]
    made, blob = made_of(old, new)
    assert made.blob_size < 6 * 600
    assert applied(made.index, blob, old) == new


def test_what_moved_by_less_than_a_block_is_found_where_it_was() -> None:
    old = noise(1, 8 * MIB)
    for inserted in (b"inserted", noise(9, 300_001)):
        made, _ = made_of(old, inserted + old, level=9)
        assert made.blob_size < len(inserted) + 5 * 2048


def test_what_is_in_the_first_part_of_a_dictionary_is_found_too() -> None:
    old = noise(1, 4 * MIB)
    made, _ = made_of(old, noise(9, MIB) + old[100 : MIB + 100], level=9)
    assert made.blob_size < MIB + 2048


def test_of_two_places_that_with_more_of_it_is_taken() -> None:
    segment = noise(1, DELTA)
    old = noise(2, 4 * MIB) + segment[:MIB] + noise(3, 8 * MIB) + segment
    found = OldBlocks(io.BytesIO(old)).dictionary_for(segment, 0)
    assert found is not None
    assert found.start <= 13 * MIB
    assert found.start + 4 * MIB >= 15 * MIB
    assert found.complete


def test_zeros_need_no_old_image() -> None:
    made, _ = made_of(noise(1, 4 * MIB), bytes(8 * MIB))
    assert [segment.dictionary for segment in made.index.segments] == [None] * 4


def test_noise_that_is_new_is_a_full_frame() -> None:
    made, _ = made_of(noise(1, 4 * MIB), noise(2, 4 * MIB))
    assert [segment.dictionary for segment in made.index.segments] == [None] * 2


@pytest.mark.parametrize("size", [0, 1, 7, 8, 4095, 4 * MIB - 1, 4 * MIB + 1, 4 * MIB + 4097])
def test_an_old_image_may_be_of_any_size(size: int) -> None:
    old, new = noise(1, size), noise(1, size)[-DELTA:] + noise(1, 100)
    made, blob = made_of(old, new)
    assert applied(DeltaIndex.parse(made.index.encode()), blob, old) == new
    assert made.index.from_size == size
    if size > 4096:
        assert made.index.segments[0].dictionary is not None


def test_an_old_image_that_begins_as_a_dictionary_of_zstd_is_content_like_any_other() -> None:
    old = bytes.fromhex("37a430ec") + noise(1, 3 * MIB)
    made, blob = made_of(old, old[: 2 * MIB])
    assert made.blob_size < 600
    assert applied(made.index, blob, old) == old[: 2 * MIB]


def test_an_empty_new_image_is_none() -> None:
    with pytest.raises(IndexError_, match="size is 0"):
        made_of(OLD, b"")


def test_the_same_images_give_the_same_delta_wherever_the_old_one_stands() -> None:
    old = io.BytesIO(OLD)
    old.seek(1000)
    blob = io.BytesIO()
    assert (make(old, io.BytesIO(NEW), blob, level=3), blob.getvalue()) == made_of(OLD, NEW)


def test_progress_is_told_in_bytes_of_the_new_image() -> None:
    told: list[int] = []
    make(io.BytesIO(OLD), io.BytesIO(bytes(2 * DELTA + 5)), io.BytesIO(), progress=told.append)
    assert told == [DELTA, 2 * DELTA, 2 * DELTA + 5]


def test_few_places_of_a_large_image_are_kept_and_are_enough() -> None:
    old = noise(1, 16 * MIB)
    blocks = OldBlocks(io.BytesIO(old), most_places=300)
    assert len(blocks._places) <= 300
    for start in range(0, 14 * MIB, DELTA):
        found = blocks.dictionary_for(old[start : start + DELTA], 0)
        assert found is not None
        assert found.start <= start <= found.start + 4 * MIB - DELTA
        assert found.complete


# On the machine.


def a_segment() -> tuple[Segment, bytes, bytes]:
    """One with a dictionary, its frame, and its content."""
    made, blob = made_of(OLD, NEW)
    segment = next(each for each in made.index.segments if each.dictionary is not None and each.start)
    return segment, blob[segment.offset : segment.end], NEW[segment.start : segment.start + segment.size]


def test_the_old_image_is_read_once_and_only_where_it_is_needed() -> None:
    segment, frame, content = a_segment()
    asked: list[tuple[int, int]] = []

    def old(offset: int, length: int) -> bytes:
        asked.append((offset, length))
        return OLD[offset : offset + length]

    assert apply_segment(segment, frame, old) == content
    assert segment.dictionary is not None
    assert asked == [(segment.dictionary.start, segment.dictionary.size)]


def test_a_full_frame_does_not_read_the_old_image() -> None:
    made, blob = made_of(noise(1, MIB), noise(2, MIB))
    (segment,) = made.index.segments

    def old(_offset: int, _length: int) -> bytes:
        raise AssertionError

    assert apply_segment(segment, blob, old) == noise(2, MIB)


def test_an_old_image_that_is_another_one_is_noticed() -> None:
    segment, frame, _ = a_segment()
    with pytest.raises((SegmentMismatchError, FrameError)):
        apply_segment(segment, frame, lambda _, length: noise(8, length))
    old = noise(2, 4 * MIB)
    made, blob = made_of(old, old[:DELTA])
    with pytest.raises(SegmentMismatchError):
        apply_segment(made.index.segments[0], blob, reader(bytes([old[0] ^ 1]) + old[1:]))


@pytest.mark.parametrize("change", [-1, 1])
def test_an_old_image_that_is_shorter_or_gives_too_much_is_refused(change: int) -> None:
    segment, frame, _ = a_segment()
    assert segment.dictionary is not None
    problem = f"{segment.dictionary.size + change} of {segment.dictionary.size} bytes"
    with pytest.raises(OldImageError, match=problem):
        apply_segment(segment, frame, lambda _, length: bytes(length + change))


def test_an_old_image_that_cannot_be_read_is_named_with_the_place() -> None:
    segment, frame, _ = a_segment()

    def old(_offset: int, _length: int) -> bytes:
        raise OSError(5, "Input/output error")

    with pytest.raises(OldImageError, match="Input/output error") as caught:
        apply_segment(segment, frame, old)
    assert segment.dictionary is not None
    assert caught.value.offset == segment.dictionary.start


def test_a_frame_with_a_dictionary_is_refused_as_any_other() -> None:
    segment, frame, _ = a_segment()
    with pytest.raises(FrameError, match="its index says"):
        apply_segment(segment, frame + b"\0", reader(OLD))
    for wrong in (frame + b"\0", frame[:-1], b"", compress_segment(bytes(DELTA + 1))):
        with pytest.raises(FrameError):
            apply_segment(replace(segment, compressed=len(wrong)), wrong, reader(OLD))
    assert FULL == 2 * DELTA
