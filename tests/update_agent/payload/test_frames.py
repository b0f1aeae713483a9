"""A slot image as frames: zstd reads them, and what is no such frame is refused before it costs anything."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.update_agent.payload.images import (
    FULL,
    MIB,
    blocks_of_one_byte,
    header,
    images,
    noise,
    piece,
)
from tests.update_agent.payload.limited import run_limited
from update_agent.payload.errors import FrameError, IndexError_, SegmentMismatchError
from update_agent.payload.frames import Made, compress_segment, decompress_segment, open_segment, write_frames
from update_agent.payload.index import Index, Segment, largest_frame

if TYPE_CHECKING:
    from pathlib import Path


def written(image: bytes, level: int = 1) -> tuple[Made[Index], bytes]:
    blob = io.BytesIO()
    return write_frames(io.BytesIO(image), blob, level=level), blob.getvalue()


def zstd(*words: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["zstd", "-q", *map(str, words)], input=data, capture_output=True, check=False)


def unpacked_by_zstd(frame: bytes) -> bytes:
    done = zstd("-d", "-c", data=frame)
    assert done.returncode == 0, done.stderr
    return done.stdout


SIZES = [1, FULL - 1, FULL, FULL + 1, 2 * FULL + 17]


@pytest.mark.parametrize("size", SIZES)
def test_zstd_makes_the_image_of_the_blob(size: int, tmp_path: Path) -> None:
    image, out = piece(1, size), tmp_path / "slot.frames"
    made, blob = written(image)
    out.write_bytes(blob)
    assert unpacked_by_zstd(blob) == image
    sums = subprocess.run(["sha256sum", out], capture_output=True, text=True, check=True).stdout
    assert (made.blob_size, made.blob_sha256) == (out.stat().st_size, sums.split()[0])
    assert (made.index.size, made.index.compressed) == (size, made.blob_size)


def test_the_index_has_the_sums_of_sha256sum_and_the_places_of_dd(tmp_path: Path) -> None:
    image, blob = tmp_path / "slot.img", tmp_path / "slot.frames"
    image.write_bytes(piece(1, FULL) + noise(2, FULL) + bytes(FULL) + b"end")
    with image.open("rb") as source, blob.open("wb") as sink:
        index = write_frames(source, sink, level=1).index

    def judge(path: Path, skip: int, count: int, *then: str) -> str:
        cut = ["dd", f"if={path}", "iflag=skip_bytes,count_bytes", f"skip={skip}", f"count={count}", "status=none"]
        data = subprocess.run(cut, capture_output=True, check=True).stdout
        for program in (*then, "sha256sum"):
            data = subprocess.run(program.split(), input=data, capture_output=True, check=True).stdout
        return data.decode().split()[0]

    assert len(index.segments) == 4
    for number, segment in enumerate(index.segments):
        assert judge(image, number * 4194304, 4194304) == segment.sha256
        assert judge(blob, segment.offset, segment.compressed, "zstd -dcq") == segment.sha256
    assert judge(image, 0, 1 << 40) == index.sha256


def test_zstd_sees_independent_frames_that_name_their_sizes(tmp_path: Path) -> None:
    out = tmp_path / "slot.zst"
    out.write_bytes(written(piece(1, 2 * FULL + 17))[1])
    frames, skipped, *_, check, _ = zstd("-l", out).stdout.decode().splitlines()[1].split()
    assert (frames, skipped, check) == ("3", "0", "None")
    for segment in written(piece(1, 2 * FULL + 17))[0].index.segments:
        (tmp_path / "one.zst").write_bytes(out.read_bytes()[segment.offset : segment.end])
        told = subprocess.run(["zstd", "-l", "-v", tmp_path / "one.zst"], capture_output=True, text=True, check=True)
        assert f"({segment.size} B)" in told.stdout
        assert f"({segment.compressed} B)" in told.stdout


def test_the_same_image_gives_the_same_blob() -> None:
    image = piece(1, FULL + 100_000) + noise(2, 300_000)
    assert written(image, level=9) == written(image, level=9)


def test_the_level_is_nine_where_nobody_says_another() -> None:
    blob = io.BytesIO()
    write_frames(io.BytesIO(piece(3, MIB)), blob)
    assert blob.getvalue() == written(piece(3, MIB), level=9)[1] != written(piece(3, MIB), level=1)[1]


@settings(max_examples=15, deadline=None)
@given(images)
def test_what_was_written_is_read(image: bytes) -> None:
    made, blob = written(image)
    index = Index.parse(made.index.encode())
    assert b"".join(open_segment(each, blob[each.offset : each.end]) for each in index.segments) == image
    assert all(each.compressed <= largest_frame(each.size) for each in index.segments)


def test_noise_is_not_made_much_larger() -> None:
    made, _ = written(noise(1, FULL))
    assert FULL < made.blob_size < FULL + 1024


def test_progress_is_told_in_bytes_of_the_image() -> None:
    told: list[int] = []
    write_frames(io.BytesIO(bytes(2 * FULL + 5)), io.BytesIO(), progress=told.append)
    assert told == [FULL, 2 * FULL, 2 * FULL + 5]


def test_an_image_that_comes_in_small_portions_gives_the_same() -> None:
    class Pipe(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 65536))

    blob, image = io.BytesIO(), piece(1, FULL + 5)
    assert write_frames(Pipe(image), blob, level=1) == written(image)[0]
    assert blob.getvalue() == written(image)[1]


def test_an_empty_image_is_none() -> None:
    with pytest.raises(IndexError_, match="size is 0"):
        written(b"")


def test_writing_takes_no_more_memory_for_a_larger_image(tmp_path: Path) -> None:
    def peak(size: int) -> int:
        image = tmp_path / "image"
        image.write_bytes(b"")
        with image.open("r+b") as file, (tmp_path / "blob").open("wb") as blob:
            file.truncate(size)
            tracemalloc.start()
            try:
                write_frames(file, blob, level=1)
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    assert peak(40 * FULL) < peak(2 * FULL) + MIB


def test_a_disk_that_is_full_ends_it() -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):  # noqa: PTH123
        write_frames(io.BytesIO(b"x"), full)


# What comes from outside.

IMAGE = piece(7, 300_000)
FRAME = compress_segment(IMAGE)


def test_frames_of_zstd_itself_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "segment"
    file.write_bytes(IMAGE)
    for words in (["-1", "--no-check"], ["-19", "--check"], ["-3", "--single-thread"]):
        zstd(*words, "-f", file, "-o", tmp_path / "out").check_returncode()
        assert decompress_segment((tmp_path / "out").read_bytes(), len(IMAGE)) == IMAGE


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_frame_is_taken_from_any_buffer(kind: type) -> None:
    assert decompress_segment(kind(FRAME), len(IMAGE)) == IMAGE


def test_a_window_of_8_mib_is_the_largest() -> None:
    """Judged by zstd, which unpacks both with that much memory and more, and says what they want."""
    body = blocks_of_one_byte(32)
    largest, larger = header(FULL, (13, 0)) + body, header(FULL, (13, 1)) + body
    assert zstd("-d", "-c", "-M8MB", data=largest).stdout == b"x" * FULL
    assert zstd("-d", "-c", "-M8MB", data=larger).returncode != 0
    assert zstd("-d", "-c", "-M16MB", data=larger).stdout == b"x" * FULL
    assert decompress_segment(largest, FULL) == b"x" * FULL
    with pytest.raises(FrameError, match="wants 9437184 bytes of memory"):
        decompress_segment(larger, FULL)


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """256 MiB of zeros, as zstd packs them with a window of 2 GiB."""
    file = tmp_path_factory.mktemp("bomb") / "zeros"
    with file.open("wb") as zeros:
        zeros.truncate(256 * MIB)
    done = zstd("-1", "--long=31", "-c", file)
    assert done.returncode == 0, done.stderr
    return done.stdout


def with_size(frame: bytes, size: int) -> bytes:
    """The frame with another size in its header, which has four bytes for it and no window."""
    assert frame[4] >> 5 == 0b101
    return frame[:5] + size.to_bytes(4, "little") + frame[9:]


def test_a_bomb_of_zstd_is_refused(bomb: bytes) -> None:
    assert len(bomb) < FULL // 100
    with pytest.raises(FrameError, match="names 268435456 bytes"):
        decompress_segment(bomb, FULL)
    # A stream of which nobody knew the length has a window of 2 GiB and no size.
    done = subprocess.run(["zstd", "-qc", "-1", "--long=31"], input=bytes(MIB), capture_output=True, check=True)
    assert done.stdout[5] >> 3 == 31 - 10
    with pytest.raises(FrameError, match="does not name its size"):
        decompress_segment(done.stdout, MIB)


def test_a_bomb_that_lies_about_its_size_is_refused(bomb: bytes) -> None:
    with pytest.raises(FrameError):
        decompress_segment(with_size(bomb, FULL), FULL)


@pytest.mark.slow
@pytest.mark.parametrize("window", [None, (13, 0), (9, 0), (7, 0)])
@pytest.mark.parametrize("blocks", [1, 31, 33, 20_000])
def test_a_frame_that_holds_more_or_less_than_it_names_is_refused(blocks: int, window: tuple[int, int] | None) -> None:
    frame = header(FULL, window) + blocks_of_one_byte(blocks)
    with pytest.raises(FrameError):
        decompress_segment(frame, FULL)
    assert zstd("-d", "-c", data=frame).returncode != 0


@pytest.mark.parametrize("exponent", [14, 21, 23, 31])
def test_windows_of_16_mib_to_2_tib_are_refused(exponent: int) -> None:
    frame = header(FULL, (exponent, 0)) + blocks_of_one_byte(32)
    with pytest.raises(FrameError, match=f"wants {1 << (10 + exponent)} bytes of memory"):
        decompress_segment(frame, FULL)


PACK = """
from update_agent.payload.frames import compress_segment
data = bytes(4 << 20)
limit(memory)
compress_segment(data)
"""
UNPACK = """
from update_agent.payload.errors import FrameError
from update_agent.payload.frames import decompress_segment
frames = [(bytes.fromhex(word), int(size)) for word, size in (line.decode().split() for line in sys.stdin.buffer)]
limit(memory)
for frame, size in frames:
    try:
        print(len(decompress_segment(frame, size)))
    except FrameError as error:
        print(error)
"""


def unpacked_with(memory: int, *frames: tuple[bytes, int]) -> list[str]:
    """What comes of frames with no more than ``memory`` bytes: sizes, or errors."""
    lines = "".join(f"{frame.hex()} {size}\n" for frame, size in frames)
    return run_limited(UNPACK, memory, lines.encode()).splitlines()


def test_no_frame_takes_more_memory_than_three_times_what_it_is_for(bomb: bytes) -> None:
    good, window = compress_segment(piece(1, FULL)), header(FULL, (23, 0)) + blocks_of_one_byte(32)
    hostile = [
        window,
        with_size(bomb, FULL),
        header(FULL) + blocks_of_one_byte(500_000),
        header(FULL, (13, 0)) + blocks_of_one_byte(40_000),
        header(FULL, (9, 0)) + blocks_of_one_byte(40_000),  # of which libzstd itself notices the lie at the end only
    ]
    found = unpacked_with(13 * MIB, (good, FULL), *((frame, FULL) for frame in hostile), (good, FULL))
    assert (found[0], found[-1]) == (str(FULL), str(FULL))
    assert len(found) == 7
    for refused in found[1:-1]:
        assert refused.startswith("no usable frame")
        assert "Allocation" not in refused


@pytest.mark.parametrize("memory", [0, 2 * MIB, 7 * MIB], ids=["of libzstd", "of the window", "of the output"])
def test_a_frame_for_which_there_is_no_memory_is_not_called_a_bad_one(memory: int) -> None:
    (short,) = unpacked_with(memory, (compress_segment(piece(1, FULL)), FULL))
    assert "NoMemoryError: there is not enough memory for a segment of 4194304 bytes" in short


def test_a_segment_for_which_there_is_no_memory_is_not_compressed() -> None:
    found = run_limited(PACK, 4 * MIB, b"")
    assert "NoMemoryError: there is not enough memory for a segment of 4194304 bytes" in found


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (b"", "does not begin"),
        (FRAME[:3], "does not begin"),
        (FRAME[:4], "ends in its header"),
        (FRAME[:7], "ends in its header"),
        (b"<html>please log in</html>", "does not begin"),
        (b"\x1f\x8b\x08" + FRAME, "does not begin"),
        (bytes.fromhex("27b52ffd") + FRAME[4:], "does not begin"),  # version 0.7
        (bytes.fromhex("502a4d18") + (8).to_bytes(4, "little") + bytes(8), "does not begin"),
        (bytes.fromhex("502a4d18") + (0).to_bytes(4, "little") + FRAME, "does not begin"),
        (FRAME[:4] + bytes([FRAME[4] | 8]) + FRAME[5:], "later format"),
        (FRAME[:4] + bytes([FRAME[4] | 1]) + b"\x07" + FRAME[5:], "dictionary with a number"),
        (FRAME + b"\0", "1 bytes are behind it"),
        (FRAME + FRAME, "bytes are behind it"),
        (FRAME + bytes.fromhex("502a4d1800000000"), "8 bytes are behind it"),
        (compress_segment(bytes(300_000)) + bytes(290_000), "290000 bytes are behind it"),
        (FRAME + bytes(1 << 20), "which is too much"),
        (compress_segment(IMAGE[:-1]), "names 299999 bytes, its index says 300000"),
        (compress_segment(IMAGE + b"x"), "names 300001 bytes, its index says 300000"),
        (header(300_000) + b"\x07\0\0", "."),  # a block of a reserved type
    ],
)
def test_what_is_not_the_one_frame_is_refused(frame: bytes, problem: str) -> None:
    with pytest.raises(FrameError, match=problem) as caught:
        decompress_segment(frame, len(IMAGE))
    assert "\n" not in str(caught.value)


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    (tmp_path / "segment").write_bytes(IMAGE)
    frame = zstd("-1", "--check", "-c", tmp_path / "segment").stdout
    assert decompress_segment(frame, len(IMAGE)) == IMAGE
    with pytest.raises(FrameError, match=r"[Cc]hecksum"):
        decompress_segment(frame[:-1] + bytes([frame[-1] ^ 1]), len(IMAGE))


def test_a_frame_that_is_cut_anywhere_is_refused() -> None:
    image = piece(1, 3000) + noise(1, 100)
    for words in (
        compress_segment(image),
        subprocess.run(
            ["zstd", "-qc", "--check", "--stream-size=3100"], input=image, capture_output=True, check=True
        ).stdout,
    ):
        assert decompress_segment(words, len(image)) == image
        for length in range(len(words)):
            with pytest.raises(FrameError):
                decompress_segment(words[:length], len(image))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 255)), min_size=1, max_size=3), st.binary(max_size=3))
def test_a_damaged_frame_gives_its_size_or_an_error(changes: list[tuple[int, int]], behind: bytes) -> None:
    image = piece(1, 3000)
    frame = bytearray(compress_segment(image))
    for at, value in changes:
        frame[at % len(frame)] = value
    try:
        found = decompress_segment(bytes(frame) + behind, len(image))
    except FrameError:
        return
    assert len(found) == len(image)
    assert not behind


@given(st.binary(max_size=200), st.integers(1, FULL))
def test_anything_may_come_from_outside(data: bytes, size: int) -> None:
    for frame in (data, FRAME[:4] + data):
        try:
            assert len(decompress_segment(frame, size)) == size
        except FrameError:
            continue


SEGMENT = Segment(3, 3 * FULL, len(IMAGE), 77, len(FRAME), hashlib.sha256(IMAGE).hexdigest())


def test_a_segment_is_what_the_index_means() -> None:
    assert open_segment(SEGMENT, FRAME) == IMAGE


def test_a_frame_of_other_content_is_refused_with_both_sums() -> None:
    other = compress_segment(IMAGE[::-1])
    wrong = Segment(3, 3 * FULL, len(IMAGE), 77, len(other), SEGMENT.sha256)
    with pytest.raises(SegmentMismatchError) as caught:
        open_segment(wrong, other)
    assert (caught.value.number, caught.value.expected) == (3, SEGMENT.sha256)
    assert caught.value.found == hashlib.sha256(IMAGE[::-1]).hexdigest()


@pytest.mark.parametrize("frame", [FRAME[:-1], FRAME + b"\0", b""])
def test_a_frame_of_another_length_is_not_even_looked_at(frame: bytes) -> None:
    with pytest.raises(FrameError, match=f"segment 3 has {len(frame)} bytes, its index says {len(FRAME)}"):
        open_segment(SEGMENT, frame)


@pytest.mark.parametrize(("size", "dictionary"), [(0, b""), (-1, b""), (FULL + 1, b""), (5, bytes(FULL + 1))])
def test_a_caller_that_asks_for_more_than_a_segment_is_wrong(size: int, dictionary: bytes) -> None:
    with pytest.raises(ValueError, match="no segment has"):
        decompress_segment(FRAME, size, dictionary)
