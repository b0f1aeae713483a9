"""A disk without a GPT again: nothing of it is left, and all else is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gptlib import (
    Disk,
    NotGptError,
)
from tests.gptlib.handmade import Entry, Gpt
from tests.gptlib.writing import END, GPT, sectors

if TYPE_CHECKING:
    from pathlib import Path


def test_erasing_leaves_no_trace_and_all_data(path: Path) -> None:
    image = path.read_bytes()
    with Disk.open(path, write=True) as disk:
        disk.erase()
        with pytest.raises(NotGptError):
            disk.read()
        assert disk.erase() == []
    after = path.read_bytes()
    assert b"EFI PART" not in after
    assert after[:512] == image[:512]
    assert after[34 * 512 : 2015 * 512] == image[34 * 512 : 2015 * 512]


def test_erasing_a_damaged_table_takes_the_places_that_the_other_copy_names(path: Path) -> None:
    image = GPT.image()
    image[512 + 16] ^= 1
    path.write_bytes(image)
    with Disk.open(path, write=True) as disk:
        disk.erase()
    assert not any(path.read_bytes()[512 : 34 * 512])


@pytest.mark.parametrize("damaged", [(1,), (2047,), (1, 2047)])
def test_erasing_a_damaged_table_leaves_partitions_alone(path: Path, damaged: tuple[int, ...]) -> None:
    """Partitions begin and end where the arrays of the usual size would be."""
    gpt = Gpt(count=4, entries={1: Entry(3, 999), 2: Entry(1000, 2045)})
    image = gpt.image()
    image[3 * 512 : 2046 * 512] = b"precious" * (2043 * 64)
    for sector in damaged:
        image[sector * 512 + 20] ^= 1
    path.write_bytes(image)
    with Disk.open(path, write=True) as disk:
        disk.erase()
    after = path.read_bytes()
    assert after[3 * 512 : 2046 * 512] == b"precious" * (2043 * 64)
    assert b"EFI PART" not in after


@pytest.mark.parametrize("sectors", [2, 3, 40, 2000])
def test_erasing_what_is_left_of_an_image_makes_it_no_longer(path: Path, sectors: int) -> None:
    path.write_bytes(GPT.image()[: sectors * 512])
    with Disk.open(path, write=True) as disk:
        disk.erase()
    assert path.stat().st_size == sectors * 512
    assert not any(path.read_bytes()[512:1024])


def test_erasing_writes_only_what_is_not_zero(path: Path) -> None:
    with Disk.open(path, write=True) as disk:
        assert sectors(disk.erase()) == [[(END, 1)], [(1, 1)], [(2015, 1), (2, 1)]]
        assert disk.erase() == []
