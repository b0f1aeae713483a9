"""The power fails at every write of a whole update from a repository; what was not flushed survives in part."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from gptlib.disk import Disk
from tests.support import run_tool
from tests.update_agent.agent.fleet import Box, system
from tests.update_agent.published import LAYOUT
from tests.update_agent.updates import A, B
from update_agent.payload.index import DeltaIndex, Index
from update_agent.slot import stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.update_agent.agent.fleet import Repo
    from tests.update_agent.repository.world import Hand

SUBSETS = 12
"""Of the writes that were not flushed, beside none, all, and all but one."""
LIVED = 40
"""So many of the states are lived on to the end."""


@dataclass
class Write:
    offset: int
    data: bytes
    state: dict[str, bytes]
    """The files of the agent's state at that moment."""


@dataclass
class Recording:
    """Writes to a disk, and where between them it was flushed."""

    disk: Path
    folder: Path
    writes: list[Write] = field(default_factory=list)
    flushes: list[int] = field(default_factory=list)

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pwrite = os.pwrite

        def written(fd: int, data: bytes, offset: int) -> int:
            done = pwrite(fd, data, offset)
            if self._is_disk(fd):
                self.writes.append(Write(offset, bytes(memoryview(data)[:done]), self._state()))
            return done

        def flushed(real: Callable[[int], Any]) -> Callable[[int], None]:
            def call(fd: int) -> None:
                made = len(self.writes)  # what another thread writes meanwhile may miss it
                real(fd)
                if self._is_disk(fd):
                    self.flushes.append(made)

            return call

        monkeypatch.setattr(os, "pwrite", written)
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, flushed(getattr(os, name)))

    def _is_disk(self, fd: int) -> bool:
        return os.path.samestat(os.fstat(fd), self.disk.stat())

    def _state(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}

    def states(self) -> Iterator[tuple[int, list[int]]]:
        """How many writes had been made when the power failed, and which of them are on the disk."""
        chance = random.Random(1)
        for made in range(len(self.writes) + 1):
            durable = max((flush for flush in self.flushes if flush <= made), default=0)
            before, pending = list(range(durable)), list(range(durable, made))
            seen = set()
            subsets: list[list[int]] = [[], pending, *([one for one in pending if one != out] for out in pending[-3:])]
            subsets += [[one for one in pending if chance.random() < 0.5] for _ in range(SUBSETS)]
            for subset in subsets:
                if tuple(subset) not in seen:
                    seen.add(tuple(subset))
                    yield made, before + subset


@pytest.fixture(autouse=True)
def many_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a small image has many."""
    monkeypatch.setattr(Index, "SEGMENT", 256 << 10)
    monkeypatch.setattr(DeltaIndex, "SEGMENT", 128 << 10)
    monkeypatch.setattr(stream, "BATCH", 512 << 10)


@pytest.fixture
def recorded(tmp_path: Path, repo: Repo, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, Recording]:
    (tmp_path / "recorded").mkdir()
    box = Box(tmp_path / "recorded", repo, hand)
    box.fill("0.9")
    repo.publish("1.1", since="1.0")
    before = box.disk.read_bytes()
    (box.place / "state").mkdir()
    recording = Recording(box.disk, box.place / "state")
    with monkeypatch.context() as patch:
        recording.watch(patch)
        box.tick()
    assert box.attributes()["1.1"] == "2/3/0"
    return before, recording


def test_no_write_reaches_the_active_slot(recorded: tuple[bytes, Recording]) -> None:
    _, recording = recorded
    active = LAYOUT.bytes_of(A)
    assert len(recording.writes) > 5
    assert all(
        write.offset + len(write.data) <= active.start or write.offset >= active.stop for write in recording.writes
    )


@pytest.mark.slow
def test_in_every_state_a_whole_system_boots_and_in_the_end_the_update_is_in(
    recorded: tuple[bytes, Recording],
    tmp_path: Path,
    repo: Repo,
    hand: Hand,
    record_property: Callable[[str, object], None],
) -> None:
    before, recording = recorded
    old, new, place = system("0.9"), system("1.1"), LAYOUT.bytes_of(B)
    states = list(recording.states())
    lived = set(random.Random(2).sample(range(len(states)), LIVED))
    for number, (made, survived) in enumerate(states):
        image = bytearray(before)
        for write in survived:
            one = recording.writes[write]
            image[one.offset : one.offset + len(one.data)] = one.data
        folder = tmp_path / "state"
        folder.mkdir()
        box = Box(folder, repo, hand)
        box.disk.write_bytes(image)
        with Disk.open(box.disk) as disk:
            table = disk.table()
        active, other = (table.partition(each).attributes.short for each in (A, B))
        holds = next((version for version, data in (("0.9", old), ("1.1", new)) if image[place].startswith(data)), "")
        what = f"power cut after write {made}, {len(survived)} of them on the disk"
        assert (holds, active, other) in {("0.9", "2/0/1", "1/0/1"), ("1.1", "1/0/1", "2/3/0")} or (
            active,
            other,
        ) == ("2/0/1", "0/0/0"), what
        if number in lived:
            # An independent reader of the same table.
            assert run_tool("cgpt", "show", "-i", "1", "-S", box.disk).strip() == "1"
            last = recording.writes[made - 1].state if made else {}
            (folder / "state").mkdir()
            for name, data in last.items():
                (folder / "state" / name).write_bytes(data)
            box.boot()
            box.live()
            assert (box.version, box.attributes()["1.1"]) == ("1.1", "2/0/1"), what
        shutil.rmtree(folder)
    record_property("counted", f"power cuts in a network update: {len(states)} states, {LIVED} lived on")
