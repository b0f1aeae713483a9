"""Plans of writes, carried out in memory: they lead where they should, and touch nothing that is so already."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, SupportsIndex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlib.linux.device import FileDevice
from gptlib.read.sectors import SectorCache
from gptlib.read.state import examine
from gptlib.write.plan import _runs, plan_write
from tests.gptlib.handmade import Entry, Gpt
from tests.gptlib.tables import examples

if TYPE_CHECKING:
    from gptlib import Table
    from gptlib.write.plan import Epoch

GEOMETRIES = {
    "usual": Gpt(),
    "4096-byte sectors": Gpt(sectors=256, sector_size=4096, entries={1: Entry(50, 60)}),
    "a last sector in part": Gpt(count=5, entries={2: Entry(100, 199)}),
    "large entries": Gpt(count=12, entry_size=1024, entries={3: Entry(100, 199, tail=b"vendor")}),
}


class _Memory(FileDevice):
    def __init__(self, image: bytes) -> None:
        super().__init__("memory", -1, len(image))
        self.image = image

    def read(self, offset: int, length: int) -> bytes:
        return self.image[offset : offset + length]


def _table(gpt: Gpt) -> Table:
    table = examine(SectorCache(_Memory(bytes(gpt.image()))), gpt.sector_size).table
    assert table is not None
    return table


def _gpt_sectors(gpt: Gpt) -> list[int]:
    length = gpt.array_sectors
    return [1, *range(2, 2 + length), *range(gpt.backup_entries, gpt.backup_entries + length), gpt.backup]


def _carry_out(epochs: list[Epoch], image: bytearray, size: int) -> None:
    for epoch in epochs:
        before, seen = bytes(image), set()
        for write in epoch:
            assert write.data
            assert len(write.data) % size == 0
            for at in range(0, len(write.data), size):
                sector = write.data[at : at + size]
                place = write.lba * size + at
                assert before[place : place + size] != sector, "it is so already"
                assert place not in seen, "twice in one epoch"
                seen.add(place)
                image[place : place + size] = sector


@pytest.mark.parametrize("name", GEOMETRIES)
@examples(60)
@given(data=st.data())
def test_a_plan_leads_to_the_new_table_and_writes_only_what_differs(name: str, data: st.DataObject) -> None:
    """From whatever the sectors of both copies hold now, with and without the old table written again first."""
    gpt = GEOMETRIES[name]
    (number, entry), size = next(iter(gpt.entries.items())), gpt.sector_size
    numbers = data.draw(st.sets(st.integers(1, gpt.count), max_size=6))
    entries = {n: Entry(60 + 5 * place, 63 + 5 * place) for place, n in enumerate(sorted(numbers))}
    new = replace(gpt, entries=entries or {number: replace(entry, attributes=1 << 48)})
    image = gpt.image()
    for lba in data.draw(st.lists(st.sampled_from(_gpt_sectors(gpt)), max_size=8)):
        image[lba * size : (lba + 1) * size] = data.draw(st.sampled_from([b"\0", b"x"])) * size
    wiped = data.draw(st.lists(st.integers(2, 1 + gpt.array_sectors), max_size=2, unique=True))
    old = data.draw(st.sampled_from([None, _table(gpt)]))

    def read(lba: int, count: int) -> bytes:
        return bytes(image[lba * size : (lba + count) * size])

    tail = {lba: read(lba, 1)[gpt.count * gpt.entry_size % size :] for lba in (1 + gpt.array_sectors, gpt.backup - 1)}
    epochs = plan_write(read, old, _table(new), stale_headers=[(lba, bytes(size)) for lba in wiped])
    _carry_out(epochs, image, size)
    for epoch in epochs:
        ends = {write.lba + len(write.data) // size for write in epoch}
        apart = [write.lba for write in epoch if write.lba not in ends]
        own = {gpt.backup, *wiped}
        assert {write.lba for write in epoch} - own == set(apart) - own, "neighbours are one write"
    wanted = new.image()
    if gpt.count * gpt.entry_size % size:
        for lba, kept in tail.items():
            rest = bytes(len(kept)) if lba in wiped else kept
            wanted[(lba + 1) * size - len(kept) : (lba + 1) * size] = rest
    assert image == wanted
    assert plan_write(read, None, _table(new)) == []


@examples(30)
@given(
    lost=st.sets(st.sampled_from(["primary header", "primary entries", "backup header", "backup entries"]), min_size=1)
)
def test_what_cannot_be_read_is_written_as_a_whole(lost: set[str]) -> None:
    gpt = GEOMETRIES["a last sector in part"]
    places = {
        "primary header": (1, 1),
        "primary entries": (2, gpt.array_sectors),
        "backup header": (gpt.backup, 1),
        "backup entries": (gpt.backup_entries, gpt.array_sectors),
    }
    image = gpt.image()

    def read(lba: int, count: int) -> bytes:
        unreadable = (lba, count) in {places[name] for name in lost}
        return b"" if unreadable else bytes(image[lba * 512 : (lba + count) * 512])

    epochs = plan_write(read, None, _table(gpt))
    written = {(write.lba, len(write.data) // 512) for epoch in epochs for write in epoch}
    assert written == {places[name] for name in lost}
    for epoch in epochs:
        for write in epoch:
            assert write.data == image[write.lba * 512 : write.lba * 512 + len(write.data)]


class _Counted(bytes):
    """Bytes that remember how many of them were copied."""

    copied = 0

    def __getitem__(self, key: SupportsIndex | slice) -> Any:  # noqa: ANN401
        part = bytes.__getitem__(self, key)
        _Counted.copied += len(part) if isinstance(part, bytes) else 1
        return part


def test_a_long_run_of_sectors_is_copied_once() -> None:
    """Not once for each of its sectors: 16 MiB of entries would take a minute."""
    data = _Counted(b"x" * (64 << 10))
    (write,) = _runs(5, data, list(range(0, len(data), 512)), 512)
    assert (write.lba, write.data) == (5, b"x" * len(data))
    assert _Counted.copied == len(data)


def test_the_largest_array_is_written_again_in_one_piece() -> None:
    gpt = Gpt(sectors=70000, count=131072)
    image = gpt.image()
    table = _table(gpt)
    image[gpt.backup_entries * 512 :] = b"x" * (len(image) - gpt.backup_entries * 512)
    (epoch,) = plan_write(lambda lba, count: bytes(image[lba * 512 : (lba + count) * 512]), None, table)
    assert [(write.lba, len(write.data)) for write in epoch] == [
        (gpt.backup_entries, gpt.array_sectors * 512),
        (gpt.backup, 512),
    ]
