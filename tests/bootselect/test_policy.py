"""The three policies, against the tables of the programs that they follow."""

from __future__ import annotations

import pytest

from bootselect.policy import CGPT_NEXT, CHROMEOS, GPTPRIO, Policy, Slot, choose
from gptlib.table.attributes import Attributes

PTS = tuple[int, int, int]


def slots(*states: PTS) -> list[Slot]:
    bits = [priority << 48 | tries << 52 | successful << 56 for priority, tries, successful in states]
    return [Slot(number, Attributes(value)) for number, value in enumerate(bits, 1)]


def boot(policy: Policy, *states: PTS) -> tuple[int, PTS] | None:
    choice = choose(policy, slots(*states))
    if choice is None:
        return None
    bits = choice.attributes
    return choice.number, (bits >> 48 & 15, bits >> 52 & 15, bits >> 56 & 1)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([(1, 0, 1), (0, 0, 0)], (1, (1, 0, 1))),  # a fresh disk
        ([(1, 0, 1), (2, 3, 0)], (2, (2, 2, 0))),  # an armed update
        ([(1, 0, 1), (2, 1, 0)], (2, (2, 0, 0))),  # its last try
        ([(1, 0, 1), (2, 0, 0)], (1, (1, 0, 1))),  # rolled back
        ([(1, 0, 1), (2, 0, 1)], (2, (2, 0, 1))),  # the update is good
        ([(1, 0, 1), (1, 0, 1)], (1, (1, 0, 1))),  # a tie: the lowest number
        ([(2, 5, 1), (1, 0, 1)], (1, (2, 4, 1))),  # GRUB decrements although it is successful
        ([(0, 5, 0), (1, 0, 0)], None),  # priority 0 never boots
        ([(0, 0, 1), (3, 0, 0)], (1, (0, 0, 1))),  # last resort
        ([(15, 15, 0), (14, 15, 0)], (1, (15, 14, 0))),
    ],
)
def test_gptprio_follows_grub(states: list[PTS], expected: tuple[int, PTS] | None) -> None:
    assert boot(GPTPRIO, *states) == expected


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([(0, 2, 0), (0, 0, 0)], (1, (0, 1, 0))),  # priority 0 is allowed
        ([(0, 0, 0), (0, 0, 0)], (1, (0, 0, 0))),  # the first slot is the fallback
        ([(3, 0, 0), (1, 0, 1)], (2, (1, 0, 1))),
        ([(1, 2, 1), (0, 0, 0)], (1, (1, 1, 1))),
    ],
)
def test_cgpt_next_follows_seismograph(states: list[PTS], expected: tuple[int, PTS]) -> None:
    assert boot(CGPT_NEXT, *states) == expected


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([(2, 3, 1), (1, 0, 1)], (1, (2, 3, 1))),  # successful: the tries are not touched
        ([(2, 2, 0), (1, 0, 1)], (1, (2, 1, 0))),
        ([(2, 1, 0), (1, 0, 1)], (1, (0, 0, 0))),  # the last try takes the priority with it
        ([(0, 3, 0), (1, 0, 0)], None),
    ],
)
def test_chromeos_follows_its_firmware(states: list[PTS], expected: tuple[int, PTS] | None) -> None:
    assert boot(CHROMEOS, *states) == expected


def test_without_slots_nothing_boots() -> None:
    assert [choose(policy, []) for policy in (GPTPRIO, CGPT_NEXT, CHROMEOS)] == [None, None, None]


def test_the_reason_names_the_slot_that_was_rolled_back() -> None:
    choice = choose(GPTPRIO, slots((1, 0, 1), (2, 0, 0)))
    assert choice is not None
    assert "partition 2 ranks higher but has no tries left" in choice.reason
