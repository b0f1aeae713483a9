"""An update that is fetched piece by piece: into the right slot, in the right order, and to its end after whatever happens."""

from __future__ import annotations

import ast
import errno
import fcntl
import functools
import json
import os
import random
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bootselect.errors import RefusedError
from bootselect.slot_disk import SlotDisk
from gptlib import type_guid
from tests.loopdev import loop, needs_loop
from tests.update_agent.clocks import FakeTime
from tests.update_agent.published import (
    DELTA,
    FULL,
    LAYOUT,
    MIB,
    Release,
    changed,
    disk_with,
    image,
    install,
    others,
    slot_b,
    states,
)
from tests.update_agent.server import Fault, Request, Server, failing, serving
from tests.update_agent.updates import A, B
from update_agent.errors import TooLargeError, VerifyError
from update_agent.payload.errors import PayloadError
from update_agent.payload.index import DeltaIndex, Index
from update_agent.slot import stream
from update_agent.slot.errors import BlobSizeError
from update_agent.slot.install import Passive, Voice
from update_agent.slot.read_back import ReadBack
from update_agent.slot.stream import install_published
from update_agent.slot.writer import SlotWriter
from update_agent.transport import errors
from update_agent.transport.http import HttpClient, HttpSource
from update_agent.transport.pace import Deadline, Limits
from update_agent.transport.retry import RetryingSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from update_agent.slot.stream import Published

WRITING = {
    "O_RDWR",
    "O_WRONLY",
    "O_CREAT",
    "pwrite",
    "pwritev",
    "write",
    "writev",
    "write_bytes",
    "write_text",
    "truncate",
}
WRITING |= {"ftruncate", "sendfile", "copy_file_range", "splice", "fdopen", "rename", "replace", "mknod", "link"}
ARMED, CLEARED = [(1, 0, 1), (2, 3, 0)], [(1, 0, 1), (0, 0, 0)]
KILLS = 30


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Index, "SEGMENT", 256 << 10)
    monkeypatch.setattr(DeltaIndex, "SEGMENT", 128 << 10)
    monkeypatch.setattr(stream, "BATCH", 512 << 10)


OLD = image(1, 2 * MIB - 700)


@functools.cache
def newer(seed: int) -> Release:
    return Release.make(changed(OLD, seed) + b"the end", OLD)


@pytest.fixture
def old() -> bytes:
    return OLD


@pytest.fixture
def release(small: None) -> Release:  # noqa: ARG001
    return newer(2)


@contextmanager
def offered(
    release: Release, server: Server, *, delta: bool = False, patient: bool = False
) -> Iterator[tuple[Published, FakeTime]]:
    time = FakeTime()
    deadline = Deadline(1e6, time.clock)
    with HttpClient(Deadline(60), limits=Limits(5, 1000, 0.3 if patient else 30), proxy=lambda _: None) as client:

        def source(path: str) -> HttpSource | RetryingSource:
            plain = HttpSource(client, server.url(path))
            return (
                RetryingSource(plain, deadline, sleep=time.sleep, chance=random.Random(1).random) if patient else plain
            )

        yield release.offer(source(FULL), source(DELTA) if delta else None), time


def check_installed(release: Release, before: bytes, path: Path, journal: Path) -> None:
    """The whole update is in slot B, zeros fill its last sector, nothing else changed, and it is tried next."""
    content = slot_b(path)
    padded = -(-len(release.content) // 512) * 512
    assert content[:padded] == release.content.ljust(padded, b"\0")
    assert content[padded:] == before[LAYOUT.bytes_of(B)][padded:]
    assert others(path.read_bytes()) == others(before)
    assert states(path) == ARMED
    assert not journal.exists()


def test_segments_of_the_real_size_arrive(disks: Path) -> None:
    release, path, journal = Release.make(image(5, 4 * MIB + 5)), disks / "disk.img", disks / "journal"
    before = disk_with(path)
    with serving(release.files) as server, offered(release, server) as (offer, _):
        installed = install(offer, path, journal)
        assert server.sent == len(release.blob) + 1  # and one byte to see how many there are
    assert (installed.version, installed.label, installed.partition, installed.tries) == ("2", "USR-B", B, 3)
    check_installed(release, before, path, journal)


def test_a_difference_takes_few_bytes(release: Release, old: bytes, disks: Path) -> None:
    path, journal = disks / "disk.img", disks / "journal"
    before, said = disk_with(path, old), list[str]()
    with serving(release.files) as server, offered(release, server, delta=True) as (offer, _):
        install(offer, path, journal, said, old=A)
        assert {request.target for request in server.requests} == {DELTA}
        assert server.sent < len(release.blob) / 10
    check_installed(release, before, path, journal)
    assert said == []


@needs_loop
@pytest.mark.parametrize("delta", [False, True])
def test_a_device_is_filled_gone_on_with_and_read_like_a_file(
    release: Release, old: bytes, disks: Path, delta: bool
) -> None:
    path, journal = disks / "disk.img", disks / "journal"
    before = disk_with(path, old)
    blob = release.delta_blob if delta else release.blob
    with (
        loop(path, partitions=True) as device,
        serving(release.files) as server,
        offered(release, server, delta=delta) as (offer, _),
    ):
        at = len(blob) * 3 // 4
        server.plan = lambda request: Fault("cut", at=at) if request.number == 1 else None
        with pytest.raises(errors.LostError):
            install(offer, Path(device), journal, old=A)
        assert states(Path(device)) == CLEARED
        install(offer, Path(device), journal, old=A)
        asked = server.requests[-1].range
        assert asked is not None
        assert asked[0] > len(blob) // 2
    check_installed(release, before, path, journal)


@pytest.mark.parametrize(
    "doubt", ["another old image", "no old slot", "404", "another size", "damaged", "damaged late"]
)
def test_any_doubt_of_a_difference_means_the_whole_update(
    release: Release, old: bytes, disks: Path, doubt: str
) -> None:
    path, journal, said = disks / "disk.img", disks / "journal", list[str]()
    before = disk_with(path, old[:-1] + b"x" if doubt == "another old image" else old)
    with serving(release.files) as server, offered(release, server, delta=True) as (offer, _):
        if doubt == "404":
            del server.files[DELTA]
        elif doubt == "another size":
            server.files[DELTA] += b"x"
        elif doubt.startswith("damaged"):
            blob = bytearray(release.delta_blob)
            blob[len(blob) // 2 if doubt == "damaged late" else 20] ^= 1
            server.files[DELTA] = bytes(blob)
        install(offer, path, journal, said, old=None if doubt == "no old slot" else A)
        if doubt == "another old image":  # which is found out before anything is fetched for it
            assert DELTA not in {request.target for request in server.requests}
        if doubt == "damaged late":  # what the difference gave is not fetched again
            assert server.sent < len(release.blob) * 0.8
    check_installed(release, before, path, journal)
    assert (said == []) == (doubt == "no old slot")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("delta", [False, True])
def test_where_three_requests_of_ten_fail_every_installation_ends(
    release: Release, old: bytes, disks: Path, seed: int, delta: bool
) -> None:
    path, journal = disks / "disk.img", disks / "journal"
    before = disk_with(path, old)
    with serving(release.files) as server, offered(release, server, delta=delta, patient=True) as (offer, _):
        server.plan = failing(seed, 0.3)
        install(offer, path, journal, old=A)
        assert server.sent <= 1.1 * len(release.delta_blob if delta else release.blob) + 100_000 * delta
    check_installed(release, before, path, journal)


@pytest.mark.slow
@pytest.mark.parametrize("edge", range(9))
def test_a_cut_at_the_edge_of_any_frame_loses_no_frame_before_it(
    release: Release, disks: Path, edge: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = [0, *(segment.end for segment in release.index.segments)]
    monkeypatch.setattr(stream, "BATCH", 1)
    for near in (-1, 0, 1):
        at = ends[edge] + near
        if not 0 <= at < len(release.blob):
            continue
        path, journal = disks / "disk.img", disks / "journal"
        before = disk_with(path)
        with serving(release.files) as server, offered(release, server) as (offer, _):
            server.plan = lambda request, at=at: Fault("cut", at=at) if request.number == 1 else None  # type: ignore[misc]
            with pytest.raises(errors.LostError):
                install(offer, path, journal)
            assert (states(path), others(path.read_bytes())) == (CLEARED, others(before))
            install(offer, path, journal)
            again = server.sent - len(release.blob) - 1
            assert again == at - max(end for end in ends if end <= at)
        check_installed(release, before, path, journal)


# What is refused, and before what.


def refused(offer: Published, disks: Path, error: type[Exception]) -> None:
    path = disks / "disk.img"
    before = disk_with(path)
    with pytest.raises(error):
        install(offer, path, disks / "journal")
    assert path.read_bytes() == before
    assert not (disks / "journal").exists()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda server: server.files.pop(FULL), errors.MissingError),
        (lambda server: server.files.update({FULL: server.files[FULL] + b"x"}), BlobSizeError),
        (lambda server: server.files.update({FULL: server.files[FULL][:-1]}), BlobSizeError),
        (lambda server: setattr(server, "plan", lambda _: Fault("portal")), errors.PortalError),
        (lambda server: setattr(server, "plan", lambda _: Fault("whole")), errors.NoRangesError),
    ],
)
def test_what_cannot_be_had_is_refused_before_the_slot_is_touched(
    release: Release, disks: Path, change: Callable[[Server], object], error: type[Exception]
) -> None:
    with serving(release.files) as server, offered(release, server) as (offer, _):
        change(server)
        refused(offer, disks, error)


@pytest.mark.usefixtures("small")
def test_an_image_larger_than_the_slot_is_refused_before_anything_is_asked_for(disks: Path) -> None:
    release = Release.make(image(1, 5 * MIB + 1))
    with serving(release.files) as server, offered(release, server) as (offer, _):
        refused(offer, disks, TooLargeError)
        assert server.requests == []


def test_frames_that_hold_something_else_are_not_written(release: Release, disks: Path) -> None:
    path, other = disks / "disk.img", Release.make(image(9, len(release.content)))
    before = disk_with(path)
    with serving({FULL: other.blob}) as server, offered(release, server) as (offer, _):
        server.files[FULL] = other.blob[: len(release.blob)].ljust(len(release.blob), b"\0")
        with pytest.raises(PayloadError):
            install(offer, path, disks / "journal")
        assert len(server.requests) == 4  # the size, and three times the frame
    assert states(path) == CLEARED
    assert slot_b(path) == before[LAYOUT.bytes_of(B)]


def test_a_frame_that_came_damaged_once_is_fetched_again(release: Release, disks: Path) -> None:
    path, journal = disks / "disk.img", disks / "journal"
    before, damaged = disk_with(path), bytearray(release.blob)
    damaged[release.index.segments[4].offset + 50] ^= 1
    with serving({FULL: bytes(damaged)}) as server, offered(release, server) as (offer, _):
        server.tag = '"same"'  # it was not the server that damaged it

        def mend(request: Request) -> None:
            if request.number == 2:
                server.files[FULL] = release.blob

        server.plan = mend
        install(offer, path, journal)
        assert len(server.requests) == 3
    check_installed(release, before, path, journal)


def test_a_disk_that_stores_something_else_is_found_out_and_begun_anew(
    release: Release, disks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, journal = disks / "disk.img", disks / "journal"
    before = disk_with(path)
    with serving(release.files) as server, offered(release, server) as (offer, _):
        with monkeypatch.context() as lying:
            write = SlotWriter._write_all
            lying.setattr(
                SlotWriter, "_write_all", lambda self, data, offset: write(self, data, offset) if offset else None
            )
            with pytest.raises(VerifyError):
                install(offer, path, journal)
        assert (states(path), journal.exists()) == (CLEARED, False)
        install(offer, path, journal)
    check_installed(release, before, path, journal)


class Watched:
    """What became of each sector of slot B, seen at the calls of the system: written, flushed, dropped from memory, read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path, size: int) -> None:
        self.sectors, self.early, self._lock = ["" for _ in range(-(-size // 512))], list[int](), threading.Lock()
        self._path, self._start = path, LAYOUT.bytes_of(B).start
        for name in ("pwrite", "fsync", "posix_fadvise", "preadv"):
            real = getattr(os, name)
            watched = functools.partial(getattr(self, name), real)
            monkeypatch.setattr(
                os,
                name,
                lambda fd, *more, real=real, watched=watched: (watched if self._is_ours(fd) else real)(fd, *more),
            )

    def _is_ours(self, fd: int) -> bool:
        return os.path.samestat(os.fstat(fd), self._path.stat())

    def _move(self, place: range, before: str, after: str) -> None:
        with self._lock:
            for sector in place:
                if self.sectors[sector] == before or not before:
                    self.sectors[sector] = after

    def _place(self, offset: int, length: int) -> range:
        first = (offset - self._start) // 512
        return range(max(0, first), max(0, min(len(self.sectors), first + -(-length // 512))))

    def pwrite(self, real: Any, fd: int, data: Any, offset: int) -> Any:  # noqa: ANN401
        done = real(fd, data, offset)
        self._move(self._place(offset, done), "", "written")
        return done

    def fsync(self, real: Any, fd: int) -> None:  # noqa: ANN401
        before = [number for number, what in enumerate(self.sectors) if what == "written"]
        real(fd)
        for number in before:
            self._move(range(number, number + 1), "written", "flushed")

    def posix_fadvise(self, real: Any, fd: int, offset: int, length: int, advice: int) -> None:  # noqa: ANN401
        real(fd, offset, length, advice)
        if advice == os.POSIX_FADV_DONTNEED:
            self._move(self._place(offset, length), "flushed", "dropped")

    def preadv(self, real: Any, fd: int, buffers: Any, offset: int) -> Any:  # noqa: ANN401
        place = self._place(offset, sum(map(len, buffers)))
        if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT:
            self._move(place, "flushed", "dropped")
        self.early += [number for number in place if self.sectors[number] not in {"dropped", "read"}]
        done = real(fd, buffers, offset)
        self._move(place, "dropped", "read")
        return done


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("delta", [False, True])
def test_each_sector_is_flushed_dropped_from_memory_and_read_again_before_the_slot_is_tried(
    release: Release, old: bytes, disks: Path, monkeypatch: pytest.MonkeyPatch, delta: bool, direct: bool
) -> None:
    if not direct:  # as file systems do that have no such thing
        monkeypatch.setattr("update_agent.slot.open._direct", lambda _: None)
    path, seen, arm = disks / "disk.img", list[tuple[set[str], list[tuple[int, int, int]]]](), Passive.arm
    disk_with(path, old)
    watched = Watched(monkeypatch, path, len(release.content))

    def look(self: Passive) -> object:
        seen.append((set(watched.sectors), states(path)))
        return arm(self)

    monkeypatch.setattr(Passive, "arm", look)
    with serving(release.files) as server, offered(release, server, delta=delta) as (offer, _):
        install(offer, path, disks / "journal", old=A)
    assert seen == [({"read"}, CLEARED)]
    assert watched.early == []
    assert states(path) == ARMED


def test_what_is_written_again_is_read_again(
    release: Release, old: bytes, disks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A difference ends early; what it gave is looked at again, one segment of it is another by then, and comes a second time."""
    path, seen, arm = disks / "disk.img", list[set[str]](), Passive.arm
    before = disk_with(path, old)
    watched = Watched(monkeypatch, path, len(release.content))

    def look(self: Passive) -> object:
        seen.append(set(watched.sectors))
        return arm(self)

    monkeypatch.setattr(Passive, "arm", look)

    def spoil(_: str) -> None:
        with path.open("r+b") as file:
            file.seek(LAYOUT.bytes_of(B).start)
            file.write(b"other")

    found = SlotDisk(str(path), type_guid("coreos-usr"))
    found.__dict__["running"] = ()
    with serving(release.files) as server, offered(release, server, delta=True) as (offer, _):
        blob = bytearray(release.delta_blob)
        blob[-len(blob) // 8] ^= 1
        server.files[DELTA] = bytes(blob)
        install_published(offer, found, "USR-B", 3, disks / "journal", Voice(tell=spoil), old=A)
    assert seen == [{"read"}]
    check_installed(release, before, path, disks / "journal")


def test_no_thread_that_could_take_a_signal_is_there_when_the_table_changes(
    release: Release, disks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen, change = disks / "disk.img", list[set[str]](), SlotDisk.change
    disk_with(path)

    def look(self: SlotDisk, *more: Any, **named: Any) -> object:  # noqa: ANN401
        names = {re.sub(r"_\d+$", "", thread.name) for thread in threading.enumerate()}
        seen.append(names & {"flush", "read back", "hash", "unpack"})
        return change(self, *more, **named)

    monkeypatch.setattr(SlotDisk, "change", look)
    with serving(release.files) as server, offered(release, server) as (offer, _):
        install(offer, path, disks / "journal")
    assert seen == [set(), set()]


def test_the_slot_is_out_of_use_at_each_write_and_flush_of_it(
    release: Release, disks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = disks / "disk.img", set[tuple[tuple[int, int, int], ...]]()
    disk_with(path)
    for name in ("write_at", "flush"):

        def look(self: SlotWriter, *more: object, real: Any = getattr(SlotWriter, name)) -> object:  # noqa: ANN401, B008
            seen.add(tuple(states(path)))
            return real(self, *more)

        monkeypatch.setattr(SlotWriter, name, look)
    with serving(release.files) as server, offered(release, server) as (offer, _):
        install(offer, path, disks / "journal")
    assert seen == {tuple(CLEARED)}
    assert states(path) == ARMED


def bytes_from_disks() -> int:
    """Of this process, as the kernel counts them."""
    return int(dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())["read_bytes"])


def test_what_is_read_back_comes_from_the_disk(release: Release, tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    disk_with(path)
    if os.statvfs(path).f_fsid == 0 or bytes_from_disks() == 0:
        pytest.skip("this file system has no disk below it")
    with path.open("rb") as file:
        os.fsync(file.fileno())
    before = bytes_from_disks()
    with serving(release.files) as server, offered(release, server) as (offer, _):
        install(offer, path, tmp_path / "journal")
    assert bytes_from_disks() - before >= len(release.content)


def test_a_disk_that_puts_new_data_over_old_is_found_out(
    release: Release, disks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is smaller than it says: what was read back is gone when all is written."""
    path = disks / "disk.img"
    disk_with(path)
    look = ReadBack.changed_since

    def overwritten(self: ReadBack) -> bool:
        with path.open("r+b") as file:
            file.seek(LAYOUT.bytes_of(B).start)
            file.write(b"other")
        return look(self)

    monkeypatch.setattr(ReadBack, "changed_since", overwritten)
    with serving(release.files) as server, offered(release, server) as (offer, _), pytest.raises(VerifyError):
        install(offer, path, disks / "journal")
    assert states(path) == CLEARED


# Going on.


def interrupted(release: Release, disks: Path, left: int) -> tuple[Path, Path, bytes]:
    """A disk with an installation that lost its connection with ``left`` segments to go."""
    path, journal = disks / "disk.img", disks / "journal"
    before = disk_with(path)
    at = release.index.segments[-left].offset
    with serving(release.files) as server, offered(release, server) as (offer, _):
        server.plan = lambda request: Fault("cut", at=at) if request.number == 1 else None
        with pytest.raises(errors.LostError):
            install(offer, path, journal)
    assert journal.exists()
    return path, journal, before


def test_what_is_there_is_not_fetched_again(release: Release, disks: Path) -> None:
    path, journal, before = interrupted(release, disks, 3)
    with serving(release.files) as server, offered(release, server) as (offer, _):
        install(offer, path, journal)
        assert server.sent == len(release.blob) - release.index.segments[-3].offset + 1
    check_installed(release, before, path, journal)


def test_an_installation_that_lacks_only_the_last_step_needs_no_network(
    release: Release, disks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, journal = disks / "disk.img", disks / "journal"
    before = disk_with(path)
    with (
        serving(release.files) as server,
        offered(release, server) as (offer, _),
        monkeypatch.context() as broken,
        pytest.raises(KeyboardInterrupt),
    ):
        broken.setattr("update_agent.slot.install.Passive.arm", interrupt)
        install(offer, path, journal)
    install(offer, path, journal)
    check_installed(release, before, path, journal)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_journal_that_lies_is_found_out(release: Release, disks: Path) -> None:
    path, journal, before = interrupted(release, disks, 2)
    data = bytearray(path.read_bytes())
    place = LAYOUT.bytes_of(B).start + release.index.segments[3].start
    data[place + 5] ^= 1
    path.write_bytes(data)
    with serving(release.files) as server, offered(release, server) as (offer, _):
        install(offer, path, journal)
        fetched = len(release.blob) - release.index.segments[-2].offset + release.index.segments[3].compressed
        assert server.sent == fetched + 1
    check_installed(release, before, path, journal)


def test_a_slot_that_was_in_use_since_is_begun_anew(release: Release, disks: Path) -> None:
    path, journal, before = interrupted(release, disks, 2)
    subprocess.run(["cgpt", "add", "-i", str(B), "-P", "1", "-T", "0", "-S", "1", path], check=True)
    with serving(release.files) as server, offered(release, server) as (offer, _):
        install(offer, path, journal)
        assert server.sent == len(release.blob) + 1
    check_installed(release, before, path, journal)


def test_the_journal_of_another_update_is_not_believed(release: Release, disks: Path) -> None:
    path, journal, before = interrupted(release, disks, 2)
    other = newer(77)
    with serving(other.files) as server, offered(other, server) as (offer, _):
        install(offer, path, journal)
        assert server.sent == len(other.blob) + 1
    check_installed(other, before, path, journal)


def test_an_installation_that_began_in_full_goes_on_by_difference(release: Release, old: bytes, disks: Path) -> None:
    path, journal, _ = interrupted(release, disks, 6)
    data = bytearray(path.read_bytes())
    place = LAYOUT.bytes_of(A).start
    data[place : place + len(old)] = old
    path.write_bytes(data)
    before = bytes(data)
    with serving(release.files) as server, offered(release, server, delta=True) as (offer, _):
        install(offer, path, journal, old=A)
        assert {request.target for request in server.requests} == {DELTA}
        assert server.sent < len(release.delta_blob)
    check_installed(release, before, path, journal)


# Killed.


class Bench:
    """A process that installs in forks of itself, and the server that it installs from."""

    def __init__(self, release: Release, old: bytes, folder: Path, server: Server, *, delta: bool) -> None:
        self.release, self.path, self.journal, self.server = release, folder / "disk.img", folder / "journal", server
        self.old, self._folder = old, folder
        (folder / "full").write_bytes(release.index.encode())
        if delta and release.delta is not None:
            (folder / "delta").write_bytes(release.delta.encode())
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.update_agent.interrupted"],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, at: int = 0, *, late: bool = False) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {
            "url": self.server.url(""),
            "disk": str(self.path),
            "journal": str(self.journal),
            "folder": str(self._folder),
            "at": at,
            "late": late,
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        result: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert result["status"] in {0, -9}, result["said"]
        return result

    def close(self) -> None:
        self._process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("delta", [False, True])
def test_killed_anywhere_and_gone_on_with_the_update_is_in_and_little_was_fetched_twice(
    release: Release, old: bytes, disks: Path, delta: bool
) -> None:
    chance = random.Random(14 + delta)
    with serving(release.files) as server:
        bench = Bench(release, old, disks, server, delta=delta)
        try:
            disk_with(bench.path, old)
            calls = bench.run()["calls"]
            assert calls > 30
            for _ in range(KILLS // 2):
                before, sent, killed = disk_with(bench.path, old), server.sent, 0
                bench.journal.unlink(missing_ok=True)
                while killed < 3:
                    result = bench.run(chance.randint(1, calls), late=chance.random() < 0.5)
                    if result["status"] == 0:
                        break
                    killed += 1
                    assert others(bench.path.read_bytes()) == others(before)
                    assert states(bench.path) in (CLEARED, ARMED)
                    if states(bench.path) == ARMED:
                        break
                if states(bench.path) != ARMED:
                    assert bench.run()["status"] == 0
                bench.journal.unlink(missing_ok=True)
                check_installed(release, before, bench.path, bench.journal)
                blob = release.delta_blob if delta else release.blob
                # Of each attempt: a batch that was not in the journal yet, and what the kernel had taken in advance.
                assert server.sent - sent <= len(blob) + killed * (MIB if not delta else len(blob)) + 4
        finally:
            bench.close()


# The journal's own faults.


def name_of(fd: int) -> str:
    return str(Path(f"/proc/self/fd/{fd}").readlink())


class Failing:
    """``os`` functions of which the call ``at`` fails, and those after it too where ``stays`` is set."""

    def __init__(self, at: int, number: int, *, stays: bool) -> None:
        self.calls, self._at, self._number, self._stays = 0, at, number, stays

    def watch(self, monkeypatch: pytest.MonkeyPatch, name: str, is_ours: Callable[[Any], bool]) -> None:
        real = getattr(os, name)

        def call(*arguments: Any, **more: Any) -> object:  # noqa: ANN401
            if not is_ours(arguments[0]):
                return real(*arguments, **more)
            self.calls += 1
            if self.calls == self._at or (self._stays and 0 < self._at < self.calls):
                if name == "write":
                    real(arguments[0], arguments[1][:3])  # a part of it got there
                raise OSError(self._number, os.strerror(self._number))
            return real(*arguments, **more)

        monkeypatch.setattr(os, name, call)


def is_journal(journal: Path) -> Callable[[int | Path], bool]:
    def known(what: int | Path) -> bool:
        path = name_of(what) if isinstance(what, int) else str(what)
        return path.startswith(str(journal)) or path == str(journal.parent)

    return known


@pytest.mark.slow
@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_journal_that_cannot_be_written_stops_no_installation(
    release: Release, disks: Path, monkeypatch: pytest.MonkeyPatch, number: int, stays: bool
) -> None:
    path, journal = disks / "disk.img", disks / "journal"
    names = ("open", "write", "fsync", "replace", "unlink")
    with serving(release.files) as server:

        def attempt(failing: Failing, fault: Fault | None = None) -> list[str]:
            said = list[str]()
            with monkeypatch.context() as patched, offered(release, server) as (offer, _):
                for name in names:
                    failing.watch(patched, name, is_journal(journal))
                first = len(server.requests)
                server.plan = lambda request: fault if request.number == first + 1 else None
                if fault is None:
                    install(offer, path, journal, said)
                else:
                    with pytest.raises(errors.LostError):
                        install(offer, path, journal, said)
            return said

        disk_with(path)
        counted = Failing(0, number, stays=stays)
        assert attempt(counted) == []
        assert counted.calls > 15
        for at in range(1, counted.calls + 1):
            journal.unlink(missing_ok=True)
            before = disk_with(path)
            assert attempt(Failing(at, number, stays=stays)) != []
            journal.unlink(missing_ok=True)
            check_installed(release, before, path, journal)
        # And where it is needed: what is in it after the fault is true, or nothing.
        for at in range(1, counted.calls + 1, 3):
            journal.unlink(missing_ok=True)
            before = disk_with(path)
            attempt(Failing(at, number, stays=stays), Fault("cut", at=release.index.segments[-3].offset))
            assert states(path) == CLEARED
            attempt(Failing(0, number, stays=False))
            check_installed(release, before, path, journal)


def test_the_journal_says_nothing_of_what_is_not_flushed_yet(
    release: Release, disks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is noted was written before a flush of the disk began that had ended by then: others are written meanwhile."""
    path, journal, events = disks / "disk.img", disks / "journal", list[str]()
    disk_with(path)
    start = LAYOUT.bytes_of(B).start
    written, flushed, noted, wrong = set[int](), set[int](), 0, list[int]()
    real_pwrite, real_fsync, real_write = os.pwrite, os.fsync, os.write

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        done = real_pwrite(fd, data, offset)
        written.update(range((offset - start) // 512, (offset - start + done) // 512))
        return done

    def fsync(fd: int) -> None:
        before = set(written) if name_of(fd) == str(path) else None
        real_fsync(fd)
        if before is None:
            events.append("flushed")
        else:
            flushed.update(before)

    def write(fd: int, data: bytes) -> int:
        nonlocal noted
        for line in data.split(b"\n") if name_of(fd) == str(journal) else []:
            words = line.split(b" ")
            if len(words) == 3 and words[0].isdigit() and words[1].isdigit():
                noted += 1
                first, size = int(words[0]), int(words[1])
                wrong.extend(set(range(first // 512, (first + size) // 512)) - flushed)
        events.append("noted" if name_of(fd) == str(journal) else "")
        return real_write(fd, data)

    for name, call in (("pwrite", pwrite), ("fsync", fsync), ("write", write)):
        monkeypatch.setattr(os, name, call)
    with serving(release.files) as server, offered(release, server) as (offer, _):
        server.plan = lambda request: (
            Fault("cut", at=release.index.segments[-2].offset) if request.number == 1 else None
        )
        with pytest.raises(errors.LostError):
            install(offer, path, journal)
    assert noted > 2
    assert wrong == []
    told = [event for event in events if event]
    assert all(told[number + 1] == "flushed" for number, event in enumerate(told) if event == "noted")


# The active slot.


def test_the_active_slot_is_refused_before_anything_is_asked_for(release: Release, disks: Path) -> None:
    path = disks / "disk.img"
    before = disk_with(path)
    with serving(release.files) as server, offered(release, server) as (offer, _):
        with pytest.raises(RefusedError, match="partition 2 is the active slot"):
            install(offer, path, disks / "journal", running=(B,))
        assert server.requests == []
    assert path.read_bytes() == before


def test_one_module_opens_slots_for_writing_and_one_writes_them() -> None:
    """Nobody else in these rooms can: the words that it takes stand nowhere else."""
    found: dict[str, set[str]] = {}
    root = Path(stream.__file__).parents[1]
    for file in sorted(file for room in ("slot", "payload", "transport") for file in (root / room).rglob("*.py")):
        names = {node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
        for name in names & WRITING:
            found.setdefault(name, set()).add(file.relative_to(root).as_posix())
    assert found == {
        "O_RDWR": {"slot/open.py", "transport/mounting.py"},  # there, of /dev/loop-control
        "O_WRONLY": {"slot/journal.py"},
        "O_CREAT": {"slot/journal.py"},
        "pwrite": {"slot/writer.py"},
        "write": {"slot/journal.py", "slot/install.py", "payload/frames.py", "payload/delta.py"},
        "replace": {"slot/journal.py"},
    }


def test_every_write_of_an_installation_is_in_the_passive_slot_or_a_table_or_the_journal(
    release: Release, old: bytes, disks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, journal, wrote = disks / "disk.img", disks / "journal", list[tuple[int, int]]()
    before = disk_with(path, old)
    real = os.pwrite

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        assert name_of(fd) == str(path)
        wrote.append((offset, offset + len(data)))
        return real(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    for name in ("pwritev", "sendfile", "copy_file_range", "ftruncate", "truncate", "splice"):
        monkeypatch.setattr(os, name, interrupt)
    with serving(release.files) as server, offered(release, server, delta=True) as (offer, _):
        install(offer, path, journal, old=A)
    place = LAYOUT.bytes_of(B)
    first, last = LAYOUT.bytes_of(A).start, LAYOUT.bytes_of(3).stop
    inside = [(start, end) for start, end in wrote if end > first and start < last]
    assert inside
    assert all(place.start <= start < end <= place.stop for start, end in inside)
    assert path.read_bytes()[LAYOUT.bytes_of(A)] == before[LAYOUT.bytes_of(A)]
