"""Arm, mark and roll back: what they change, and what they refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bootselect import verbs
from bootselect.errors import RefusedError
from bootselect.slots import slot_type, slots_of
from gptlib.disk import Disk
from tests.support import run_tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from gptlib.table.table import Table
    from tests.support import PTS, SlotImage

USR = slot_type("coreos-usr")


def read(image: SlotImage) -> Table:
    with Disk.open(image.path) as disk:
        return disk.table()


def states(table: Table) -> list[PTS]:
    bits = [slot.attributes for slot in slots_of(table, USR)]
    return [(value >> 48 & 15, value >> 52 & 15, value >> 56 & 1) for value in bits]


def test_the_life_of_an_update_is_that_of_the_article(slot_image: Callable[..., SlotImage]) -> None:
    table = read(slot_image((1, 0, 1), (0, 0, 0)))
    table = verbs.clear(table, 4)
    assert states(table) == [(1, 0, 1), (0, 0, 0)]
    table = verbs.arm(table, USR, 4)
    assert states(table) == [(1, 0, 1), (2, 3, 0)]
    table = verbs.mark_good(table, 4)
    assert states(table) == [(1, 0, 1), (2, 0, 1)]


@pytest.mark.parametrize(
    "before",
    [
        [(1, 0, 1), (0, 0, 0)],
        [(2, 0, 1), (1, 0, 1)],
        [(1, 0, 1), (1, 3, 0), (3, 0, 1)],
        [(5, 0, 1), (9, 0, 1), (5, 2, 0), (0, 0, 0), (15, 0, 1)],
        [(priority, 0, 1) for priority in range(15, -1, -1)],
        [(0, 0, 1), (0, 0, 0)],
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_prioritize_renumbers_as_debians_cgpt_does(
    slot_image: Callable[..., SlotImage], before: list[PTS], place: int
) -> None:
    # ChromeOS's cgpt renumbers its kernels only, so the same priorities are given to partitions of that type.
    image = slot_image(*before)
    ours = verbs.prioritize(read(image), USR, 3 + place)
    for number in range(3, 3 + len(before)):
        run_tool("cgpt", "add", "-i", str(number), "-t", "kernel", image.path)
    run_tool("cgpt", "prioritize", "-i", str(3 + place), image.path)
    theirs = [int(run_tool("cgpt", "show", "-i", str(3 + n), "-P", image.path)) for n in range(len(before))]
    assert [priority for priority, _, _ in states(ours)] == theirs


def test_mark_good_never_touches_a_priority(slot_image: Callable[..., SlotImage]) -> None:
    armed = read(slot_image((1, 1, 0), (2, 3, 0)))
    assert states(verbs.mark_good(armed, 3)) == [(1, 0, 1), (2, 3, 0)]


def test_every_verb_twice_is_the_verb_once(slot_image: Callable[..., SlotImage]) -> None:
    table = read(slot_image((1, 0, 1), (2, 1, 0), (3, 0, 1)))
    idempotent: list[Callable[[Table], Table]] = [
        lambda t: verbs.clear(t, 4),
        lambda t: verbs.arm(t, USR, 4),
        lambda t: verbs.mark_good(t, 4),
        lambda t: verbs.mark_bad(t, 4),
        lambda t: verbs.prioritize(t, USR, 3),
        lambda t: verbs.rollback(t, USR, 5),
    ]
    for verb in idempotent:
        assert verb(verb(table)) == verb(table)


def test_arm_is_refused_without_a_slot_to_fall_back_on(slot_image: Callable[..., SlotImage]) -> None:
    with pytest.raises(RefusedError, match="no other slot is known to boot"):
        verbs.arm(read(slot_image((1, 2, 0), (0, 0, 0))), USR, 4)


def test_rollback_boots_the_slot_before(slot_image: Callable[..., SlotImage]) -> None:
    assert states(verbs.rollback(read(slot_image((1, 0, 1), (2, 0, 1))), USR, 4)) == [(2, 0, 1), (1, 0, 1)]


def test_rollback_is_refused_with_the_reason_of_each_slot(slot_image: Callable[..., SlotImage]) -> None:
    with pytest.raises(
        RefusedError, match=r"partition 4 was never booted successfully .*; partition 5 is not known to boot"
    ):
        verbs.rollback(read(slot_image((1, 0, 1), (2, 3, 0), (0, 0, 0))), USR, 3)
