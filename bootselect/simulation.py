"""What the next boots would do: the policy played forward in memory."""

from __future__ import annotations

from bootselect.policy import Slot, choose
from gptlib._record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bootselect.policy import Policy
    from gptlib.table.attributes import Attributes

GOOD, DIES, UNHEALTHY, UNUSABLE = "good", "dies", "unhealthy", "unusable"
OUTCOMES = (GOOD, DIES, UNHEALTHY, UNUSABLE)
"""What becomes of a slot that is booted: it is marked good; its kernel or init dies; a required health check fails and it
reboots; it cannot be mounted or fails its checks in the initramfs, which marks it bad and takes the next in the same boot."""


class Boot(Record):
    """One attempt. ``number`` is 0 when nothing was bootable; ``reset`` whether a reset follows."""

    number: int
    reason: str
    outcome: str
    slots: tuple[Slot, ...]
    """The slots afterwards."""
    reset: bool


def attempt(policy: Policy, slots: Sequence[Slot], outcomes: Mapping[int, str], excluded: frozenset[int]) -> Boot:
    """One selection and what follows. ``excluded`` are the slots that were found unusable in this boot already.

    Slots without an outcome of their own are good.
    """
    choice = choose(policy, [slot for slot in slots if slot.number not in excluded])
    if choice is None:
        return Boot(0, "nothing is bootable", "", tuple(slots), reset=False)
    outcome = outcomes.get(choice.number, GOOD)
    after = _afterwards(choice.attributes, outcome)
    changed = tuple(Slot(slot.number, after) if slot.number == choice.number else slot for slot in slots)
    return Boot(choice.number, choice.reason, outcome, changed, reset=outcome in {DIES, UNHEALTHY})


def _afterwards(attributes: Attributes, outcome: str) -> Attributes:
    if outcome == GOOD:
        return attributes.with_slot(tries=0, successful=True)
    if outcome == UNUSABLE:
        return attributes.with_slot(tries=0, successful=False)
    return attributes


def simulate(policy: Policy, slots: Sequence[Slot], outcomes: Mapping[int, str], limit: int = 100) -> Iterator[Boot]:
    """The attempts from this state on until a slot stays up, nothing is bootable, or a state comes back for ever.

    ``limit`` bounds the number of attempts.
    """
    excluded: frozenset[int] = frozenset()
    seen: set[tuple[Slot, ...]] = set()
    for _ in range(limit):
        boot = attempt(policy, slots, outcomes, excluded)
        yield boot
        if boot.reset:
            excluded = frozenset()
            if boot.slots in seen:
                return
            seen.add(boot.slots)
        elif boot.outcome == UNUSABLE:
            excluded |= {boot.number}
        else:
            return
        slots = boot.slots
