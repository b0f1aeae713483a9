"""Transfers that fail again and again: they end, with little fetched twice, and wait as they should."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.clocks import FakeTime
from tests.update_agent.server import PIECE, SEND_BUFFER, Fault, failing, in_turn, serving
from update_agent.transport import errors
from update_agent.transport.file import FileSource
from update_agent.transport.http import HttpClient, HttpSource
from update_agent.transport.pace import Deadline, Floor, Limits, RateLimit
from update_agent.transport.retry import Patience, RetryingSource
from update_agent.transport.source import Reader, read_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from update_agent.transport.source import Source

CONTENT = random.Random(3).randbytes(6 << 20)
SEGMENT = 1 << 20


def read(source: Source, offset: int, length: int) -> bytes:
    buffer = memoryview(bytearray(length))
    with source.open(offset, length) as reader:
        return bytes(buffer[: read_exactly(reader, buffer)])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("ranges", [1, 6])
def test_where_three_requests_of_ten_fail_a_transfer_ends_and_fetches_little_twice(seed: int, ranges: int) -> None:
    time = FakeTime()
    deadline = Deadline(3600, time.clock)
    chance = random.Random(seed)
    with (
        serving({"/blob": CONTENT}) as server,
        HttpClient(deadline, limits=Limits(5, 1000, 0.5), proxy=lambda _: None) as client,
    ):
        server.plan = failing(seed, 0.3)
        source = RetryingSource(HttpSource(client, server.url()), deadline, sleep=time.sleep, chance=chance.random)
        length = len(CONTENT) // ranges
        got = b"".join(read(source, number * length, length) for number in range(ranges))
        assert got == CONTENT
        # What a reset throws away of the kernel's buffers is all that comes twice.
        assert server.sent <= 1.1 * len(CONTENT)


def test_a_cut_at_the_edges_of_what_is_sent_at_once_is_gone_on_from_at_the_byte() -> None:
    edges = {edge + near for edge in (0, PIECE, SEND_BUFFER, SEGMENT - PIECE, SEGMENT) for near in (-1, 0, 1)}
    time = FakeTime()
    deadline = Deadline(3600, time.clock)
    for at in sorted(edge for edge in edges if 0 <= edge < SEGMENT):
        with (
            serving({"/blob": CONTENT[:SEGMENT]}) as server,
            HttpClient(deadline, proxy=lambda _: None) as client,
        ):
            server.plan = in_turn(Fault("cut", at=at))
            source = RetryingSource(HttpSource(client, server.url()), deadline, sleep=time.sleep)
            assert read(source, 0, SEGMENT) == CONTENT[:SEGMENT]
            assert server.sent == SEGMENT
            assert [request.range for request in server.requests] == [(0, SEGMENT), (at, SEGMENT)]


class Failing:
    """A source that gives ``step`` bytes, and then raises what is told."""

    shown = "there"

    def __init__(self, error: errors.TransportError, step: int = 0) -> None:
        self.error, self.step, self.asked = error, step, 0

    def size(self) -> int:
        self.asked += 1
        raise self.error

    @contextmanager
    def open(self, offset: int, length: int) -> Iterator[Reader]:
        del offset
        self.asked += 1
        error, given = self.error, [min(self.step, length)]

        class Once:
            def readinto(self, buffer: memoryview, /) -> int:
                del buffer
                if not given:
                    raise error
                return given.pop()

        if not given[0]:
            raise error
        yield Once()


def insisting(source: Source, time: FakeTime, seconds: float = 1e9, **patience: float) -> RetryingSource:
    chance = random.Random(1).random
    deadline = Deadline(seconds, time.clock)
    return RetryingSource(source, deadline, Patience(**patience), sleep=time.sleep, chance=chance)  # type: ignore[arg-type]


def test_what_will_not_get_better_is_not_asked_for_again() -> None:
    source, time = Failing(errors.MissingError("there", "gone")), FakeTime()
    with pytest.raises(errors.MissingError):
        insisting(source, time).size()
    assert (source.asked, time.slept) == (1, [])


def test_patience_ends_after_so_many_failures_in_a_row() -> None:
    source, time = Failing(errors.LostError("there", "lost")), FakeTime()
    with pytest.raises(errors.LostError):
        insisting(source, time).size()
    assert (source.asked, len(time.slept)) == (8, 7)
    assert all(0 <= wait < 2**number for number, wait in enumerate(time.slept))
    assert len(set(time.slept)) == 7


def test_waits_do_not_grow_for_ever() -> None:
    time = FakeTime()
    with pytest.raises(errors.LostError):
        insisting(Failing(errors.LostError("there", "lost")), time, failures=2000).size()
    assert 55 < max(time.slept) <= 60


def test_a_transfer_that_goes_on_is_not_given_up_however_often_it_fails() -> None:
    source, time = Failing(errors.LostError("there", "lost"), step=100_000), FakeTime()
    with insisting(source, time).open(0, 5_000_000) as reader:
        buffer = memoryview(bytearray(5_000_000))
        assert read_exactly(reader, buffer) == 5_000_000
    assert source.asked == 50


def test_one_that_gets_on_by_a_byte_at_a_time_is() -> None:
    source = Failing(errors.LostError("there", "lost"), step=1)
    with insisting(source, FakeTime()).open(0, 5_000_000) as reader, pytest.raises(errors.LostError):
        read_exactly(reader, memoryview(bytearray(5_000_000)))
    assert source.asked == 8


def test_the_deadline_ends_all_patience_and_is_not_slept_over() -> None:
    source, time = Failing(errors.LostError("there", "lost")), FakeTime()
    with pytest.raises(errors.DeadlineError):
        insisting(source, time, seconds=10, failures=1000).size()
    assert 0 < sum(time.slept) < 10


def test_a_server_is_left_alone_as_long_as_it_asks_for_and_not_by_all_until_the_same_moment() -> None:
    time = FakeTime()
    with pytest.raises(errors.BusyError):
        insisting(Failing(errors.BusyError("there", "busy", 100.0)), time, failures=20).size()
    assert all(100 <= wait <= 110 for wait in time.slept)
    assert len(set(time.slept)) == 19


def test_a_server_that_asks_for_a_year_is_not_waited_for() -> None:
    source, time = Failing(errors.BusyError("there", "busy", 3e7)), FakeTime()
    with pytest.raises(errors.BusyError):
        insisting(source, time).size()
    assert time.slept == []


# Pace.


def test_the_bucket_never_gives_more_than_its_rate_and_a_portion() -> None:
    time, chance = FakeTime(), random.Random(5)
    limit, rate, taken = RateLimit(10_000, time.clock, time.sleep), 10_000, [(0, 1000.0)]
    for _ in range(500):
        time.now += chance.random() * chance.choice([0.0, 0.1, 3.0])
        count = chance.randint(1, limit.portion)
        taken.append((count, time.now))
        limit.take(count)
    for first in range(1, 500, 7):
        for last in range(first, 500, 11):
            came = sum(count for count, _ in taken[first : last + 1])
            assert came <= rate * (taken[last][1] - taken[first][1]) + rate / 4 + limit.portion + 1e-6


def test_a_limit_near_the_floor_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 4000"):
        RateLimit(3999)


@pytest.mark.parametrize(("rate", "good"), [(999, False), (1001, True)])
def test_the_floor_counts_bytes_in_windows_of_waiting(rate: int, good: bool) -> None:
    time = FakeTime()
    floor = Floor("there", Limits(), Deadline(1e9, time.clock), time.clock)

    def transfer() -> None:
        for _ in range(150):
            since = time.now
            time.now += 1
            floor.waited(since, rate)

    if good:
        transfer()
    else:
        with pytest.raises(errors.TooSlowError, match="59940 bytes came within 60 seconds"):
            transfer()
        assert time.now == 1060


def test_time_that_the_machine_itself_takes_is_not_held_against_the_server() -> None:
    time = FakeTime()
    floor = Floor("there", Limits(), Deadline(1e9, time.clock), time.clock)
    for _ in range(100):
        since = time.now
        time.now += 0.01
        floor.waited(since, 100)
        time.now += 500  # the disk
    assert 0 < floor.patience() <= 60


# Files.


def test_a_file_is_read_in_ranges(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(CONTENT[:1000])
    source = FileSource(tmp_path / "blob")
    assert (source.size(), read(source, 0, 1000), read(source, 999, 1)) == (1000, CONTENT[:1000], CONTENT[999:1000])
    with pytest.raises(errors.FileSourceError, match="ends at byte 1000, and bytes up to 1001"):
        read(source, 500, 501)
    (tmp_path / "blob").unlink()
    with pytest.raises(errors.FileSourceError, match="No such file"):
        source.size()
    with pytest.raises(errors.FileSourceError, match="not a regular file"):
        FileSource(tmp_path).size()
