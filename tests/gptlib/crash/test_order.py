"""Which orders of writes CoreOS's ``cgpt next`` can live with, besides all other readers: every one of them is tried."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gptlib import Attributes, Disk, Guid, Partition, type_guid
from tests.gptlib.crash.coreos import Choice, coreos_next
from tests.gptlib.crash.explorer import READERS, apply, crash_states, view
from tests.gptlib.crash.grub import read_grub
from tests.gptlib.crash.recording import Sector, recorded
from tests.gptlib.readers import gptlib
from tests.gptlib.tables import blank, examples, table_of

if TYPE_CHECKING:
    from pathlib import Path

    from gptlib import Table

SECTORS = 1024
USR = type_guid("coreos-usr")
H1, E1, E2, H2 = 1, 2, SECTORS - 33, SECTORS - 1


def slot(number: int, letter: str, priority: int = 1, tries: int = 0, *, successful: bool = True) -> Partition:
    """A slot in the place that belongs to this number."""
    bits = Attributes(0).with_slot(priority=priority, tries=tries, successful=successful)
    return Partition(USR, Guid(letter.encode() * 16), 34 + 8 * number, 41 + 8 * number, bits, letter)


def image_of(path: Path, slots: dict[int, Partition]) -> bytes:
    with Disk.open(blank(path, SECTORS), write=True) as disk:
        disk.create(table_of(slots, sectors=SECTORS)._replace(disk_guid=Guid(b"D" * 16)))
    return path.read_bytes()


A1, B2 = slot(3, "A", 1), slot(4, "B", 2)
# A table before, one after, and the orders that every reader lives with.
USUAL: set[tuple[int, ...]] = {(E2, H2, H1, E1), (H2, E2, H1, E1)}
ENTRIES_FIRST: set[tuple[int, ...]] = {(E1, H1, E2, H2), (E1, H1, H2, E2)}
CHANGES: dict[str, tuple[dict[int, Partition], dict[int, Partition], set[tuple[int, ...]]]] = {
    "count a try": ({3: A1, 4: slot(4, "B", 2, 3)}, {3: A1, 4: slot(4, "B", 2, 2)}, USUAL | ENTRIES_FIRST),
    "prioritize another": ({3: A1, 4: B2}, {3: slot(3, "A", 2), 4: slot(4, "B", 1)}, USUAL | ENTRIES_FIRST),
    "remove the one that boots": ({3: A1, 4: B2}, {3: A1}, ENTRIES_FIRST),
    "remove the last one": ({4: B2}, {}, ENTRIES_FIRST),
    "add one that boots": ({3: A1}, {3: A1, 4: B2}, USUAL),
    "add the first one": ({}, {4: B2}, USUAL),
    "a new UUID for the one that boots": ({3: A1, 4: B2}, {3: A1, 4: slot(4, "C", 2)}, USUAL | ENTRIES_FIRST),
    "another table": ({4: B2}, {3: slot(3, "C", 2)}, set()),
    "another table under the same numbers": ({3: slot(3, "B", 1), 4: slot(4, "A", 2)}, {3: slot(3, "A", 2)}, set()),
    "swap": ({3: A1, 4: B2}, {3: slot(3, "B", 2), 4: slot(4, "A", 1)}, set()),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_every_order_of_the_four_pieces(ram: Path, name: str) -> None:
    """Slots of one sector: H1, E1, E2 and H2 are a sector each, and there are 24 orders; what is written follows a good one."""
    path = ram / "disk.img"
    old, new, orders = CHANGES[name]
    before, after = image_of(path, old), image_of(path, new)
    pieces = [lba for lba in (H1, E1, E2, H2) if before[lba * 512 :][:512] != after[lba * 512 :][:512]]
    assert pieces == [H1, E1, E2, H2]
    allowed = {reader: [view(reader, path, before), view(reader, path, after)] for reader in READERS}
    fine: dict[frozenset[int], bool] = {}
    good: set[tuple[int, ...]] = set()
    for order in permutations((H1, E1, E2, H2)):
        for count in range(len(order) + 1):
            done = frozenset(order[:count])
            if done not in fine:
                image = bytearray(before)
                apply(image, [Sector(lba, after[lba * 512 : lba * 512 + 512]) for lba in done])
                fine[done] = all(view(reader, path, bytes(image)) in allowed[reader] for reader in READERS)
        if all(fine[frozenset(order[:count])] for count in range(len(order) + 1)):
            good.add(order)
    assert good == orders
    epochs = write_recorded(path, before, table_of(new, sectors=SECTORS))
    wrong = [
        reader
        for image in crash_states(before, epochs, exhaustive=True)
        for reader in READERS
        if view(reader, path, image) not in allowed[reader]
    ]
    # Another table can be prepared for, two numbers that are swapped cannot.
    assert wrong == (["coreos-next"] if name == "swap" else [])


def write_recorded(path: Path, before: bytes, table: Table) -> list[list[Sector]]:
    path.write_bytes(before)
    with recorded() as recording, Disk.open(path, write=True) as disk:
        disk.write(table._replace(disk_guid=disk.table().disk_guid))
    return recording.finish()


NUMBERS = (1, 2, 5, 6, 9, 77)


@st.composite
def slot_sets(draw: st.DrawFn) -> dict[int, Partition]:
    """Slots under numbers of four sectors; few letters and priorities, so that two sets have much in common."""
    numbers = draw(st.lists(st.sampled_from(NUMBERS), max_size=4, unique=True))
    letters = draw(st.permutations("ABCD"))
    return {
        number: slot(number, letter, draw(st.integers(0, 3)), draw(st.integers(0, 1)), successful=draw(st.booleans()))
        for number, letter in zip(numbers, letters, strict=False)
    }


def best(slots: dict[int, Partition]) -> tuple[int, bytes]:
    """Number and UUID of the slot that ``cgpt next`` takes; number 0 for none."""
    bits = {number: partition.attributes for number, partition in slots.items()}
    ranks = [(b.priority if b.tries or b.successful else -1, -number) for number, b in bits.items()]
    number = -max(ranks, default=(0, 0))[1]
    return number, bytes(slots[number].unique_guid) if number else b""


@pytest.mark.slow
@examples(60)
@given(old=slot_sets(), new=slot_sets())
def test_whatever_changes_nobody_sees_a_third_table(
    ram: Path, old: dict[int, Partition], new: dict[int, Partition]
) -> None:
    """Arrays whose sectors are torn apart, and the readers that run in this process."""
    path = ram / "disk.img"
    (was, uuid), (will, wanted) = best(old), best(new)
    given_away = was in new and bytes(new[was].unique_guid) not in {uuid, wanted}
    assume(not (given_away and will in old and bytes(old[will].unique_guid) not in {uuid, wanted}))
    before = image_of(path, old)
    epochs = write_recorded(path, before, table_of(new, sectors=SECTORS))
    after = path.read_bytes()
    readers = (gptlib, read_grub, coreos_next)
    allowed = []
    for image in (before, after):
        path.write_bytes(image)
        allowed.append([reader(path) for reader in readers])
    assert [seen[2] for seen in allowed] == [Choice(str(Guid(one)).lower() if one else None) for one in (uuid, wanted)]
    for image in crash_states(before, epochs, exhaustive=True):
        path.write_bytes(image)
        for place, reader in enumerate(readers):
            assert reader(path) in [seen[place] for seen in allowed], reader
