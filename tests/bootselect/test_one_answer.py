"""``next``, ``status``, ``simulate`` and ``verify`` never contradict each other: over all states of the model checker.

What each says in words is held against what the others do: a slot that "boots", "is tried" or "is not to be booted" is one that
the next boots, played forward, do boot or do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bootselect.errors import NothingBootableError
from bootselect.policy import POLICIES, Policy, Slot
from bootselect.selection import select
from bootselect.simulation import DIES, GOOD, OUTCOMES, UNUSABLE, simulate
from bootselect.slots import slot_type, slots_of
from bootselect.status import ARMED, BAD, EMPTY, LAST_RESORT, ROLLED_BACK, TRYING, status
from bootselect.status import GOOD as PROVEN
from bootselect.verify import slot_findings
from gptlib import Attributes, Disk, Guid, Partition, Table
from gptlib.read.findings import ERROR
from tests.bootselect.test_model import all_states

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bootselect.simulation import Boot
    from bootselect.status import SlotStatus
    from tests.bootselect.test_model import State

    Count = Callable[[str, object], None]

USR = slot_type("coreos-usr")
BY_NO_RIGHT = "no slot is eligible: the first one, as cgpt next does"
LABELS = ("USR-A", "USR-B", "USR-C")


class Memory:
    """A disk in memory."""

    path, sector_size = "memory", 512

    def __init__(self, size: int) -> None:
        self.data, self.size = bytearray(size), size

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.data[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        self.data[offset : offset + len(data)] = data

    def flush(self) -> None:
        pass

    def extend(self, _: int) -> None:
        raise TypeError

    def close(self) -> None:
        pass


def table_with(count: int) -> Table:
    table = Table.new(total_sectors=4096)
    for place in range(count):
        first = 100 + 20 * place
        table = table.add(Partition(USR, Guid.random(), first, first + 9, Attributes(0), LABELS[place]), place + 1)
    return table


class Answers:
    """What everybody says of one state under one policy."""

    def __init__(self, policy: Policy, table: Table, active: int | None = None) -> None:
        self.policy, self.table = policy, table
        self.slots = slots_of(table, USR)
        self.status = status(table, USR, policy, active)
        self.findings = list(slot_findings(table, USR, policy))
        self.first = next(iter(simulate(policy, self.slots, {})))

    @property
    def codes(self) -> set[str]:
        return {finding.code for finding in self.findings}

    def play(self, story: dict[int, str], slots: Sequence[Slot] | None = None) -> list[Boot]:
        return list(simulate(self.policy, self.slots if slots is None else slots, story))

    def check(self, *, played: bool) -> None:
        """The answers of this moment; ``played``: also what they promise of the boots to come."""
        following = [slot.number for slot in self.status.slots if slot.next]
        assert following == ([self.first.number] if self.first.number else [])
        assert bool(self.status.next_label) == bool(following)
        assert self.status.next_reason == (self.first.reason if following else "")
        errors = {finding.code for finding in self.findings if finding.severity == ERROR}
        assert errors == (set() if following else {"nothing-bootable"})
        assert not any(slot.next for slot in self.status.slots if slot.state in {EMPTY, BAD, ROLLED_BACK})
        if not played:
            return
        for slot in self.status.slots:
            self.check_slot(slot)
        if following:
            self.check_fallback(following[0])
        for finding in self.findings:
            if finding.code == "tries-without-priority":
                label = finding.message.partition(" ")[0]
                assert all(LABELS[boot.number - 1] != label for boot in self.all_boots())

    def all_boots(self) -> list[Boot]:
        """Whatever the next boots could come to, one outcome for all slots at a time."""
        return [
            boot
            for outcome in OUTCOMES
            for boot in self.play({slot.number: outcome for slot in self.slots})
            if boot.number
        ]

    def check_slot(self, slot: SlotStatus) -> None:
        if slot.state in {EMPTY, BAD, ROLLED_BACK}:
            boots = [boot for boot in self.all_boots() if boot.number == slot.number]
            assert all(BY_NO_RIGHT in boot.reason and "once no slot is eligible" in slot.explanation for boot in boots)
        if slot.state == ROLLED_BACK:
            assert self.first.number not in {0, slot.number}, slot
        if slot.state in {PROVEN, ARMED, LAST_RESORT}:
            others = {other.number: UNUSABLE for other in self.slots if other.number != slot.number}
            assert self.play({**others, slot.number: GOOD})[-1].number == slot.number, slot
        if slot.state in {ARMED, TRYING} and "first one" not in slot.explanation:
            promised = int(next(word for word in slot.explanation.split() if word.isdigit()))
            alone = [other for other in self.slots if other.number == slot.number]
            boots = self.play({slot.number: DIES}, alone)
            assert len([boot for boot in boots if boot.number and BY_NO_RIGHT not in boot.reason]) == promised

    def check_fallback(self, chosen: int) -> None:
        others = [slot for slot in self.slots if slot.number != chosen]
        last = self.play({chosen: UNUSABLE})[-1]
        by_right = bool(last.number) and BY_NO_RIGHT not in last.reason
        [told] = [finding.message for finding in self.findings if finding.code == "no-fallback"] or [""]
        assert ("no-fallback" in self.codes) == (not any(slot.attributes.successful for slot in others))
        assert told.startswith("only ") == ("no-fallback" in self.codes and not by_right), (told, last)
        assert ("nothing-eligible" in self.codes) == (BY_NO_RIGHT in self.first.reason)


def next_of(policy: Policy, table: Table) -> tuple[int, Table | None]:
    """What ``bootselect next`` chooses and leaves on the disk."""
    memory = Memory(table.total_sectors * table.sector_size)
    disk = Disk(memory, writable=True)
    disk.create(table)
    try:
        number = select(disk, policy, USR).number
    except NothingBootableError:
        return 0, None
    return number, Disk(memory, writable=False).table()


def with_state(table: Table, state: State) -> Table:
    for number, value in enumerate(state, 1):
        table = table.with_attributes(number, Attributes(value))
    return table


def compare(policy: Policy, slots: int, priorities: Sequence[int], tries: Sequence[int], *, played: bool) -> int:
    table, count = table_with(slots), 0
    for state in all_states(slots, priorities, tries):
        Answers(policy, with_state(table, state)).check(played=played)
        count += 1
    return count


def compare_running(policy: Policy, priorities: Sequence[int], tries: Sequence[int]) -> int:
    """Two slots, also with each of them running, and with what ``bootselect next`` really does to a disk."""
    table, count = table_with(2), 0
    for state in all_states(2, priorities, tries):
        answers = Answers(policy, with_state(table, state))
        for active in (None, 1, 2):
            Answers(policy, answers.table, active).check(played=True)
        number, after = next_of(policy, answers.table)
        assert number == answers.first.number, (policy, state)
        if after is not None:
            # What next leaves is what simulate says of a slot that dies, which changes nothing itself.
            [boot, *_] = answers.play({number: DIES})
            assert slots_of(after, USR) == list(boot.slots), (policy, state)
        count += 1
    return count


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_every_state_of_two_slots_has_one_answer(policy: Policy, record_property: Count) -> None:
    count = compare_running(policy, range(4), range(5))
    record_property("counted", f"{policy.name}: next, status, simulate and verify agree on {count} states of two slots")


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_every_state_of_two_slots_without_any_symmetry_has_one_answer(policy: Policy, record_property: Count) -> None:
    count = compare(policy, 2, range(16), range(16), played=False)
    record_property(
        "counted", f"{policy.name}: status, simulate and verify agree on {count} states of two slots, all of them"
    )


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_every_state_of_three_slots_has_one_answer(policy: Policy, record_property: Count) -> None:
    count = compare(policy, 3, range(4), range(4), played=True)
    record_property("counted", f"{policy.name}: status, simulate and verify agree on {count} states of three slots")
