"""A model checker: every state of the slots, every pattern of good and bad slots, every step of an update, every power cut.

What a slot can be: *good*; one that *dies* after the hand-over; or *unusable*, which the initramfs notices. A slot that is
marked successful has booted and is read-only, so what is wrong with it later is noticed by the initramfs: successful slots
are good or unusable, never dying.

Two slots are explored in full (2 x 16 x 16 x 2 attribute values). For three slots two symmetries are used: a policy only compares
priorities with each other and with 0, so 0..3 stand for all orders of three slots; and it only asks whether tries are 0 and
counts them down by one, so 0..3 stand for 0..15.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from bootselect.policy import CGPT_NEXT, POLICIES, Policy, Slot
from bootselect.simulation import DIES, GOOD, UNUSABLE, attempt
from gptlib.table.attributes import Attributes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

State = tuple[int, ...]
Pattern = tuple[str, ...]


class Model:
    """One policy and one pattern; remembers how many resets each state takes to reach a slot that stays up."""

    def __init__(self, policy: Policy, pattern: Pattern) -> None:
        self.policy, self.pattern = policy, pattern
        self.outcomes = dict(enumerate(pattern, 1))
        self.known: dict[tuple[State, frozenset[int]], tuple[str, int]] = {}

    def run(self, state: State) -> tuple[str, int]:
        """How it ends (``good``, ``nothing``, ``loop``) and after how many attempts."""
        path: list[tuple[State, frozenset[int]]] = []
        key = (state, frozenset[int]())
        on_path = set()
        while key not in self.known:
            if key in on_path:
                ending = ("loop", 0)
                break
            path.append(key)
            on_path.add(key)
            slots = [Slot(number, Attributes(value)) for number, value in enumerate(key[0], 1)]
            boot = attempt(self.policy, slots, self.outcomes, key[1])
            if not boot.number:
                path.pop()
                ending = self.known[key] = ("nothing", 0)
                break
            if boot.outcome == GOOD:
                ending = ("good", 0)
                break
            after = tuple(int(slot.attributes) for slot in boot.slots)
            key = (after, frozenset() if boot.reset else key[1] | {boot.number})
        else:
            ending = self.known[key]
        how, length = ending
        for place in reversed(path):
            length += 1
            self.known[place] = (how, length)
        return self.known[path[0]] if path else ending


def pack(priority: int, tries: int, successful: int) -> int:
    return priority << 48 | tries << 52 | successful << 56


def all_states(slots: int, priorities: Sequence[int], tries: Sequence[int]) -> Iterator[State]:
    one = [pack(*fields) for fields in itertools.product(priorities, tries, (0, 1))]
    return itertools.product(one, repeat=slots)


def fits(state: State, pattern: Pattern) -> bool:
    return not any(value >> 56 & 1 and kind == DIES for value, kind in zip(state, pattern, strict=True))


def bootable(policy: Policy, value: int) -> bool:
    """Whether a slot can be booted at all: eligible, or a last resort."""
    attributes = Attributes(value)
    return policy.eligible(attributes) or attributes.successful


def check(model: Model, state: State) -> None:
    how, attempts = model.run(state)
    tries = sum(value >> 52 & 15 for value in state)
    # Without an eligible slot cgpt next boots the first one, again and again: that is its rule, and its weakness.
    assert how != "loop" or model.policy == CGPT_NEXT, (model.policy, model.pattern, state)
    assert how == "loop" or attempts <= tries + len(state), (model.policy, model.pattern, state)
    if any(kind == GOOD and bootable(model.policy, value) for value, kind in zip(state, model.pattern, strict=True)):
        assert how == "good", (model.policy, model.pattern, state)


def explore(policy: Policy, slots: int, priorities: Sequence[int], tries: Sequence[int]) -> int:
    count = 0
    for pattern in itertools.product((GOOD, DIES, UNUSABLE), repeat=slots):
        model = Model(policy, pattern)
        for state in all_states(slots, priorities, tries):
            if fits(state, pattern):
                check(model, state)
                count += 1
    return count


Count = Callable[[str, object], None]


def all_of(slots: int, fields: int) -> int:
    """How many states there are: a slot is good, unusable, or dies, and one that dies is not marked successful."""
    kinds: int = fields * 2 + fields * 2 + fields
    return int(kinds**slots)


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_every_state_of_two_slots_ends_on_a_good_slot_if_there_is_one(policy: Policy, record_property: Count) -> None:
    count = explore(policy, 2, range(4), range(5))
    assert count == all_of(2, 4 * 5)
    record_property("counted", f"{policy.name}: {count} states of two slots with priorities 0..3 and tries 0..4")


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_every_state_of_two_slots_without_any_symmetry(policy: Policy, record_property: Count) -> None:
    count = explore(policy, 2, range(16), range(16))
    assert count == all_of(2, 16 * 16)
    record_property("counted", f"{policy.name}: {count} states of two slots, all of them")


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_every_state_of_three_slots_up_to_symmetry(policy: Policy, record_property: Count) -> None:
    count = explore(policy, 3, range(4), range(4))
    assert count == all_of(3, 4 * 4)
    record_property("counted", f"{policy.name}: {count} states of three slots, up to the symmetries")
