"""Every state that two slots can be in when an update starts, through every step of it, cut off after each."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from bootselect import verbs
from bootselect.policy import CHROMEOS, GPTPRIO, Policy
from bootselect.simulation import DIES, GOOD, UNHEALTHY, UNUSABLE, simulate
from bootselect.slots import slot_type, slots_of
from gptlib.table.attributes import Attributes
from gptlib.table.guid import Guid
from gptlib.table.partition import Partition
from gptlib.table.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USR = slot_type("coreos-usr")
ACTIVE, PASSIVE = 1, 2
GARBAGE = UNUSABLE
"""What a half-written slot is, at best."""


def table(active: Attributes, passive: Attributes) -> Table:
    made = Table.new(total_sectors=8192, disk_guid=Guid(bytes([1] * 16)), entry_count=4)
    for number, attributes in ((ACTIVE, active), (PASSIVE, passive)):
        first = 2048 * number
        made = made.add(Partition(USR, Guid(bytes([number + 1] * 16)), first, first + 2047, attributes), number)
    return made


def starts() -> Iterator[Table]:
    """The active slot is running and marked good; anything may stand in the passive one."""
    for priority in range(16):
        for fields in itertools.product(range(16), (0, 1, 3, 15), (False, True)):
            active = Attributes().with_slot(priority=priority, tries=0, successful=True)
            passive = Attributes().with_slot(priority=fields[0], tries=fields[1], successful=fields[2])
            yield table(active, passive)


def ends_on(state: Table, policy: Policy, passive: str) -> int:
    """The slot that stays up after a power cut in this state; 0 for none."""
    last = list(simulate(policy, slots_of(state, USR), {PASSIVE: passive}))[-1]
    return last.number if last.outcome == GOOD else 0


@pytest.mark.slow
@pytest.mark.parametrize("policy", [GPTPRIO, CHROMEOS], ids=["gptprio", "chromeos"])
@pytest.mark.parametrize("update", [GOOD, DIES, UNHEALTHY, UNUSABLE])
def test_a_power_cut_after_any_step_of_an_update_leaves_a_machine_that_boots(
    policy: Policy, update: str, record_property: Callable[[str, object], None]
) -> None:
    count = 0
    for start in starts():
        cleared = verbs.clear(start, PASSIVE)
        assert ends_on(cleared, policy, GARBAGE) == ACTIVE  # also while the slot is being written
        armed = verbs.arm(cleared, USR, PASSIVE)
        assert ends_on(armed, policy, update) == (PASSIVE if update == GOOD else ACTIVE)
        proved = verbs.mark_good(armed, PASSIVE)
        assert ends_on(proved, policy, GOOD) == PASSIVE
        assert ends_on(verbs.rollback(proved, USR, PASSIVE), policy, GOOD) == ACTIVE
        assert ends_on(verbs.mark_bad(armed, PASSIVE), policy, update) == ACTIVE
        count += 5
    assert count == 5 * 16 * 16 * 4 * 2
    record_property("counted", f"{policy.name}, the update is {update}: {count} states between two steps")
