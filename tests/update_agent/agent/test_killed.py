"""The agent is killed at seeded moments of an update's life, and goes on; each time in a fork, with SIGKILL."""

from __future__ import annotations

import os
import random
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from gptlib.disk import Disk
from tests.update_agent.agent.fleet import Box, system
from tests.update_agent.forks import Killer
from tests.update_agent.published import LAYOUT
from tests.update_agent.updates import A, B
from update_agent.state.history import History

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.update_agent.agent.fleet import Repo
    from tests.update_agent.repository.world import Hand

WATCHED = ("pwrite", "write", "fsync", "rename", "replace", "unlink", "open", "pread", "preadv", "lseek")
MOMENTS = 300
LOTS = 6
"""So many tests share the moments."""


def in_a_fork(work: Callable[[], object], at: int, *, late: bool) -> tuple[int, int]:
    """How the fork ended, and the calls that it made where it came to its end."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        tell, leave = os.write, os._exit
        try:
            killer = Killer(at, late=late)
            for name in WATCHED:
                killer.watch(os, name)
            work()
            tell(write, str(killer.calls).encode())
        except BaseException as error:  # noqa: BLE001
            tell(write, f"-1 {error!r}".encode())
        leave(0)
    os.close(write)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    assert not said.startswith("-1"), said
    return status, int(said or 0)


class Life:
    """A machine at the start of an update, as often as it is asked for."""

    def __init__(self, place: Path, repo: Repo, hand: Hand) -> None:
        self._place, self._repo, self._hand, self._number = place, repo, hand, 0
        repo.publish("1.1", since="1.0")

    def box(self) -> Box:
        self._number += 1
        folder = self._place / f"box{self._number}"
        folder.mkdir()
        box = Box(folder, self._repo, self._hand)
        box.fill("0.9")
        return box

    def done_with(self, box: Box) -> None:
        shutil.rmtree(box.place)


def must_be_whole(box: Box, before: bytes) -> None:
    """The active slot is what it was, and the other one holds a whole system, or will not be booted."""
    disk = box.disk.read_bytes()
    assert disk[LAYOUT.bytes_of(A)] == before[LAYOUT.bytes_of(A)]
    with Disk.open(box.disk) as opened:
        table = opened.table()
    active, other = (table.partition(number).attributes.short for number in (A, B))
    holds = next((version for version in ("0.9", "1.1") if disk[LAYOUT.bytes_of(B)].startswith(system(version))), None)
    allowed = {("0.9", "2/0/1", "1/0/1"), ("1.1", "1/0/1", "2/3/0")}
    assert (holds, active, other) in allowed or (active, other) == ("2/0/1", "0/0/0")


@pytest.mark.slow
@pytest.mark.parametrize("lot", range(LOTS))
def test_killed_at_any_moment_the_active_slot_boots_and_in_the_end_the_update_is_in(
    tmp_path: Path, repo: Repo, hand: Hand, lot: int, record_property: Callable[[str, object], None]
) -> None:
    life, chance = Life(tmp_path, repo, hand), random.Random(lot)
    first = life.box()
    _, calls = in_a_fork(first.tick, 0, late=False)
    assert calls > 100
    ended = 0
    for _ in range(MOMENTS // LOTS):
        box = life.box()
        before = box.disk.read_bytes()
        status, _ = in_a_fork(box.tick, chance.randrange(1, calls + 1), late=chance.random() < 0.5)
        ended += status == -signal.SIGKILL
        must_be_whole(box, before)
        box.live()
        assert box.version == "1.1"
        assert box.attributes() == {"1.0": "1/0/1", "1.1": "2/0/1"}
        records = History(box.settings.state_folder, 1 << 20).read().records
        assert [one.what for one in records if one.what != "installed"][-2:] == ["booted", "proved"]
        life.done_with(box)
    # How much comes at once differs, and with it the number of calls: some are never come to.
    assert ended >= MOMENTS // LOTS * 0.8
    record_property("counted", f"agents killed: {ended} of {MOMENTS // LOTS}, among {calls} calls")


@pytest.mark.slow
def test_killed_again_and_again_it_still_gets_there(tmp_path: Path, repo: Repo, hand: Hand) -> None:
    life, chance = Life(tmp_path, repo, hand), random.Random(99)
    box = life.box()
    before = box.disk.read_bytes()
    for _ in range(25):
        in_a_fork(box.tick, chance.randrange(1, 120), late=chance.random() < 0.5)
        must_be_whole(box, before)
    box.live()
    assert box.version == "1.1"


@pytest.mark.slow
def test_killed_at_any_moment_a_broken_release_is_remembered_and_tried_once(
    tmp_path: Path, repo: Repo, hand: Hand, record_property: Callable[[str, object], None]
) -> None:
    life, chance = Life(tmp_path, repo, hand), random.Random(7)
    for _ in range(MOMENTS // LOTS):
        box = life.box()
        box.broken.add("1.1")
        in_a_fork(box.tick, chance.randrange(1, 163), late=chance.random() < 0.5)
        for _ in range(5):
            in_a_fork(box.tick, chance.randrange(1, 400), late=chance.random() < 0.5)
            if box.attributes().get("1.1") == "2/3/0":
                break
        armed = box.attributes().get("1.1") == "2/3/0"
        if armed:
            box.boot()
            assert box.attributes() == {"1.0": "1/0/1", "1.1": "2/0/0"}
            disk = box.disk.read_bytes()
            for _ in range(4):
                in_a_fork(box.tick, chance.randrange(1, 80), late=chance.random() < 0.5)
            box.tick()
            assert box.disk.read_bytes() == disk
            assert [bad.version for bad in box.machine.bad] == ["1.1"]
        life.done_with(box)
    record_property("counted", f"agents killed around a broken release: {6 * (MOMENTS // LOTS)}")
