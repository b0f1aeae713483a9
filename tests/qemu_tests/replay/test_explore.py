"""All states of an update on a disk that logs: none is lost as the code is; each mutant of it is found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bootselect.policy import GPTPRIO
from bootselect.selection import select
from bootselect.slots import slot_type
from bootselect.verbs import arm, mark_good
from gptlib import Disk
from qemu_tests.harness.disk.losses import AllLost
from qemu_tests.harness.disk.machine_disk import MachineDisk
from qemu_tests.replay.crashes import Sample, crashes_in, epochs_of
from qemu_tests.replay.explore import Exploration, explore
from qemu_tests.replay.places import places_of
from qemu_tests.replay.reporting import replay_of
from qemu_tests.replay.verdicts import HALF, PROVED, TRIED
from qemu_tests.report.html.page import render
from qemu_tests.report.model import Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gptlib import Table
    from qemu_tests.harness.disk.losses import Piece
    from qemu_tests.harness.disk.recording import Recording
    from qemu_tests.harness.disk.session import Session
    from qemu_tests.replay.places import Place
    from qemu_tests.report.model import Replay
    from tests.support import SlotImage

CHUNK = 8192
SLOTS = slot_type("coreos-usr")


class SessionDevice:
    """A machine's disk as gptlib wants one. ``flushes``: whether a flush is passed on."""

    sector_size: int | None = 512

    def __init__(self, session: Session, *, flushes: bool) -> None:
        self.path, self.size, self._session, self._flushes = "machine", session.size, session, flushes

    def read(self, offset: int, length: int) -> bytes:
        return self._session.read(offset, length)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self._session.write(offset, data)

    def flush(self) -> None:
        if self._flushes:
            self._session.flush()

    def extend(self, size: int) -> None:
        raise TypeError(size)

    def close(self) -> None:
        pass


class Flow:
    """An update as the agent and the selector do it, step by step; what a mutant does otherwise is a method of it."""

    def __init__(self, disk: MachineDisk, update: bytes, number: int) -> None:
        self.disk, self.update, self.number = disk, update, number
        self.session = disk.power_on()

    def open(self) -> Disk:
        return Disk(SessionDevice(self.session, flushes=True), writable=True)

    def change(self, verb: Callable[[Table], Table]) -> None:
        with self.open() as disk:
            disk.write(verb(disk.table()))

    def clear(self) -> None:
        def cleared(table: Table) -> Table:
            attributes = table.partition(self.number).attributes
            return table.with_attributes(self.number, attributes.with_slot(priority=0, tries=0, successful=False))

        self.change(cleared)

    def write_slot(self) -> None:
        with self.open() as disk:
            start = disk.table().partition(self.number).first_lba * 512
        for at in range(0, len(self.update), CHUNK):
            self.session.write(start + at, self.update[at : at + CHUNK])

    def flush_slot(self) -> None:
        self.session.flush()

    def arm(self) -> None:
        self.change(lambda table: arm(table, SLOTS, self.number, tries=3))

    def select(self) -> None:
        with self.open() as disk:
            assert select(disk, GPTPRIO, SLOTS).number == self.number

    def mark_good(self) -> None:
        self.change(lambda table: mark_good(table, self.number))

    def play(self) -> None:
        for step in (self.clear, self.write_slot, self.flush_slot, self.arm, self.select, self.mark_good):
            step()
        self.disk.power_off(AllLost())


class WithoutFlushes(Flow):
    """``flush`` does nothing."""

    def open(self) -> Disk:
        return Disk(SessionDevice(self.session, flushes=False), writable=True)


class FlushedInTheEnd(WithoutFlushes):
    """The flushes of a write of the table are one, after all of it."""

    def change(self, verb: Callable[[Table], Table]) -> None:
        super().change(verb)
        self.session.flush()


class SlotNotFlushed(Flow):
    """No flush of its own between the slot and the arm.

    No mutant: the first flush of the arm, before anything of the primary is written, is one of the whole disk.
    """

    def flush_slot(self) -> None:
        pass


class NotCleared(Flow):
    """The slot that is written can still be booted meanwhile."""

    def clear(self) -> None:
        pass


class ArmedFirst(Flow):
    """Armed, then written."""

    def play(self) -> None:
        for step in (self.clear, self.arm, self.write_slot, self.flush_slot, self.select, self.mark_good):
            step()
        self.disk.power_off(AllLost())


@pytest.fixture
def image(slot_image: Callable[..., SlotImage]) -> SlotImage:
    """A is proved, B is an older version that is proved as well."""
    return slot_image((2, 0, 1), (1, 0, 1))


@pytest.fixture
def played(image: SlotImage, tmp_path: Path) -> Callable[[type[Flow]], tuple[Recording, list[Place]]]:
    update = bytes(range(256)) * 256
    (tmp_path / "update").write_bytes(update)

    def played(kind: type[Flow]) -> tuple[Recording, list[Place]]:
        disk = MachineDisk(image.path, tmp_path)
        kind(disk, update, 4).play()
        return disk.recording(), places_of(image.path, [tmp_path / "update"])

    return played


@pytest.fixture
def play(
    played: Callable[[type[Flow]], tuple[Recording, list[Place]]], tmp_path: Path
) -> Callable[[type[Flow]], Exploration]:
    return lambda kind: explore(*played(kind), tmp_path, Sample(subsets=6, others=20))


def drawn(played: tuple[Recording, list[Place]], folder: Path) -> tuple[Exploration, Replay, str]:
    """What was explored, as a replay of the report, and its page."""
    found = explore(*played, folder, Sample(subsets=6, others=20))
    replay = replay_of(found, *played, "an update", "a sample")
    return found, replay, render(Run("a run", "2026-01-01T00:00:00+00:00", 1.0, replays=(replay,)))


def test_the_report_draws_every_state_by_write(
    played: Callable[[type[Flow]], tuple[Recording, list[Place]]], tmp_path: Path
) -> None:
    found, replay, page = drawn(played(Flow), tmp_path)
    assert replay.states == found.total
    assert replay.bad_states == 0
    assert [verdict.name for verdict in replay.verdicts] == [PROVED, TRIED]
    # Each write of the flow is a column; four changes of the table and one try are four sectors each, the slot is 8 writes.
    assert len(replay.writes) == 8 + 4 * 4
    texts = [write.text for write in replay.writes]
    assert texts[0].endswith("backup entries")
    assert sum("slot in partition 4" in text for text in texts) == 8
    # Until the arm is on the disk only the proved slot boots; until the try is marked good the new one is tried first.
    tried = [write.states[1] > 0 for write in replay.writes]
    assert not any(tried[: 4 + 8])
    assert any(tried)
    assert all(sum(write.states) for write in replay.writes)
    assert page.count('class="heat h') >= len(replay.writes)
    assert 'class="heat bad' not in page
    assert f"{found.total:,} states" in page


@pytest.mark.slow
def test_the_report_shows_which_write_loses_the_machine(
    played: Callable[[type[Flow]], tuple[Recording, list[Place]]], tmp_path: Path
) -> None:
    found, replay, page = drawn(played(ArmedFirst), tmp_path)
    assert replay.bad_states == found.failed > 0
    assert HALF in [verdict.name for verdict in replay.verdicts if verdict.bad]
    assert 'class="heat bad' in page


@pytest.mark.slow
def test_no_state_of_an_update_is_lost(play: Callable[[type[Flow]], Exploration]) -> None:
    found = play(Flow)
    assert found.failures == ()
    assert found.failed == 0
    # Six steps of which four write a table in three epochs, and the slot.
    assert found.epochs == 13
    assert found.total > 100
    assert {"prefix", "subset", "dropped", "alone", "torn"} <= set(found.states)
    assert re.match(r"\d+ states \(\d+ alone, .*\) in 13 flush epochs, \d+ different tables, 0 failed", str(found))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "problem"),
    [
        (WithoutFlushes, "the readers|the selector"),
        (FlushedInTheEnd, "the readers|the selector"),
        (NotCleared, "partition 4 could be booted and is not whole"),
        (ArmedFirst, "partition 4 would be booted and is not whole"),
    ],
)
def test_every_mutant_is_found(play: Callable[[type[Flow]], Exploration], mutant: type[Flow], problem: str) -> None:
    found = play(mutant)
    assert found.failed > 0
    assert any(re.search(problem, failure.problem) for failure in found.failures), found.failures


@pytest.mark.slow
def test_the_first_flush_of_the_arm_is_one_for_the_slot_too(play: Callable[[type[Flow]], Exploration]) -> None:
    assert play(SlotNotFlushed).failed == 0


def test_a_state_without_a_write_with_fua_has_nothing_of_what_came_after(image: SlotImage, tmp_path: Path) -> None:
    disk = MachineDisk(image.path, tmp_path)
    session = disk.power_on()
    session.write(0, bytes(512))
    session.write(512, bytes(1024), fua=True)
    session.write(2048, bytes(512))
    disk.power_off(AllLost())
    (epoch,) = epochs_of(disk.log.entries, "disk")
    states = {tuple((p.write.offset, p.length) for p in crash.pieces) for crash in crashes_in(epoch, Sample())}
    before, fua, torn, after = (0, 512), (512, 1024), (512, 512), (2048, 512)
    by_hand = {(), (before,), (fua,), (before, fua), (fua, after), (before, fua, after), (before, torn)}
    assert states == by_hand
    sampled = {
        tuple((p.write.offset, p.length) for p in crash.pieces)
        for crash in crashes_in(epoch, Sample(subsets=0, others=200))
    }
    assert sampled == by_hand
    assert [piece.write.offset for piece in epoch.kept] == [512]


def test_a_chip_without_a_cache_has_an_epoch_for_each_write(image: SlotImage, tmp_path: Path) -> None:
    chip = MachineDisk(image.path, tmp_path, write_through=True)
    session = chip.power_on()
    session.write(0, bytes(1024))
    session.write(4096, bytes(512))
    chip.power_off(AllLost())
    first, second = epochs_of(chip.log.entries, "disk")
    assert [[p.length for p in crash.pieces] for crash in crashes_in(first, Sample())] == [[], [1024], [512]]
    assert [[p.length for p in crash.pieces] for crash in crashes_in(second, Sample())] == [[], [512]]


def test_what_a_power_cut_lost_is_not_there_afterwards(image: SlotImage, tmp_path: Path) -> None:
    """A table that was never flushed and is lost with the power: the next power cycle begins with the old one."""
    disk = MachineDisk(image.path, tmp_path)
    disk.power_on().write(0, bytes(34 * 512))
    disk.power_off(AllLost())
    disk.power_on().write(1 << 20, bytes(512))
    disk.power_off()
    first, second = epochs_of(disk.log.entries, "disk")
    assert first.kept == ()
    assert [piece.write.offset for piece in second.kept] == [1 << 20]
    found = explore(disk.recording(), places_of(image.path), tmp_path, Sample())
    assert {failure.epoch for failure in found.failures} <= {first.number}


def test_a_torn_request_stands_beside_drawn_choices_of_the_others(image: SlotImage, tmp_path: Path) -> None:
    disk = MachineDisk(image.path, tmp_path)
    session = disk.power_on()
    for at in range(3):
        session.write(at * 8192, bytes(1024))
    disk.power_off()
    (epoch,) = epochs_of(disk.log.entries, "disk")
    torn = [crash.pieces for crash in crashes_in(epoch, Sample(torn_others=100)) if crash.kind == "torn"]
    shown = {"".join("-wt"[0 if not p else 1 + (p[0].length < 1024)] for p in by_place(pieces)) for pieces in torn}
    # Three requests, one of them torn, each of the other two there or not; by hand.
    assert shown == {a + b for a in ("t",) for b in ("--", "-w", "w-", "ww")} | {
        *("-t-", "-tw", "wt-", "wtw", "--t", "-wt", "w-t", "wwt")
    }
    assert len(torn) == len(shown)


def by_place(pieces: tuple[Piece, ...]) -> list[list[Piece]]:
    return [[piece for piece in pieces if piece.write.offset == at * 8192] for at in range(3)]


def test_the_states_of_an_epoch_are_those_by_hand(image: SlotImage, tmp_path: Path) -> None:
    disk = MachineDisk(image.path, tmp_path)
    session = disk.power_on()
    session.write(0, bytes(512))
    session.write(512, bytes(2048))
    session.flush()
    session.flush()
    session.write(4096, bytes(512))
    disk.power_off()
    first, second = epochs_of(disk.log.entries, "disk")
    assert [len(first.writes), len(second.writes)] == [2, 1]
    states = {
        (crash.kind, tuple((p.write.offset, p.length) for p in crash.pieces)) for crash in crashes_in(first, Sample())
    }
    assert states == {
        ("prefix", ()),
        ("prefix", ((0, 512),)),
        ("prefix", ((0, 512), (512, 2048))),
        ("subset", ((512, 2048),)),
        ("torn", ((0, 512), (512, 512))),
        ("torn", ((0, 512), (512, 1024))),
        ("torn", ((0, 512), (512, 1536))),
    }
    assert next(crash.pieces for crash in crashes_in(second, Sample())) == ()
    assert len(list(crashes_in(second, Sample()))) == 2
