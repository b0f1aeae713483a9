"""Choosing a slot and accounting for the try, on whole and on damaged disks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bootselect.errors import NoSlotsError, NothingBootableError
from bootselect.policy import GPTPRIO
from bootselect.selection import Selection, open_for_selection, select
from bootselect.slots import slot_type
from gptlib.disk import Disk
from gptlib.errors import WriteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import SlotImage

USR = slot_type("coreos-usr")


def select_from(image: SlotImage) -> Selection:
    with Disk.open(image.path, write=True) as disk:
        return select(disk, GPTPRIO, USR)


def test_an_armed_slot_is_tried_three_times_and_then_rolled_back(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))
    booted = []
    for _ in range(5):
        booted.append(select_from(image).number)
        assert "No problems found" in image.verify()
    assert booted == [4, 4, 4, 3, 3]
    assert image.attributes() == [(1, 0, 1), (2, 0, 0)]


def test_a_proven_slot_boots_without_a_write(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (0, 0, 0))
    before = image.path.read_bytes()
    assert select_from(image).number == 3
    assert image.path.read_bytes() == before


@pytest.mark.parametrize(("sector", "count"), [(1, 1), (2, 32), (1, 33), (-1, 1), (-33, 32), (-33, 33)])
def test_a_damaged_copy_is_used_around_and_repaired(
    slot_image: Callable[..., SlotImage], sector: int, count: int
) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))
    image.zero(sector, count)
    assert select_from(image).number == 4
    assert "No problems found" in image.verify()
    assert image.attributes() == [(1, 0, 1), (2, 2, 0)]


def test_nothing_bootable_is_said_with_the_state_of_every_slot(slot_image: Callable[..., SlotImage]) -> None:
    with pytest.raises(NothingBootableError, match=r"USR-A 1/0/0, USR-B 0/0/0"):
        select_from(slot_image((1, 0, 0), (0, 0, 0)))


def test_a_disk_without_slots_is_refused_by_the_name_of_their_type(slot_image: Callable[..., SlotImage]) -> None:
    with pytest.raises(NoSlotsError, match="coreos-usr"):
        select_from(slot_image())


def test_an_unproven_slot_is_not_booted_on_credit(
    slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))
    with Disk.open(image.path, write=True) as disk:

        def fail(offset: int, data: bytes) -> None:
            raise WriteError(disk.path, offset, len(data), "Input/output error")

        monkeypatch.setattr(disk.device, "write", fail)
        selection = select(disk, GPTPRIO, USR)
    assert (selection.number, image.attributes()) == (3, [(1, 0, 1), (2, 3, 0)])
    assert "Input/output error" in selection.problem
    assert "partition 4 was due" in selection.reason


@pytest.mark.parametrize("fault", [ImportError("No module named 'array'"), MemoryError(), OSError(5, "odd")], ids=repr)
def test_a_write_that_fails_in_a_way_of_its_own_is_no_credit_either(
    slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))
    with Disk.open(image.path, write=True) as disk:

        def fail(*_: object) -> None:
            raise fault

        monkeypatch.setattr(disk.device, "write", fail)
        selection = select(disk, GPTPRIO, USR)
    assert (selection.number, image.attributes()) == (3, [(1, 0, 1), (2, 3, 0)])
    assert selection.problem.startswith(type(fault).__name__)


def test_a_lock_that_cannot_be_asked_for_is_a_disk_that_cannot_be_written(
    slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", fail)
    disk, unwritable = open_for_selection(str(slot_image((1, 0, 1)).path), lock_deadline=0)
    with disk:
        assert not disk.writable
    assert "No locks available" in unwritable


def test_with_another_writer_at_work_a_proven_slot_is_booted(slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))
    with Disk.open(image.path, write=True):
        disk, unwritable = open_for_selection(str(image.path), lock_deadline=0)
        with disk:
            assert select(disk, GPTPRIO, USR, unwritable=unwritable).number == 3
    assert "another program is writing" in unwritable


def test_without_a_proven_slot_a_disk_that_cannot_be_written_boots_nothing(
    slot_image: Callable[..., SlotImage],
) -> None:
    image = slot_image((1, 3, 0), (0, 0, 0))
    with Disk.open(image.path) as disk, pytest.raises(NothingBootableError, match="cannot be recorded: read-only"):
        select(disk, GPTPRIO, USR, unwritable="read-only")
