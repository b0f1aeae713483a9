"""Which slot boots next: pure functions of the slots' attributes.

Candidates are ranked by priority, highest first, and then by partition number, as GRUB, ChromeOS and CoreOS do. The
three policies are those of Flatcar's GRUB (``gptprio.next``), CoreOS's seismograph (``cgpt next``) and ChromeOS's firmware
(vboot ``cgptlib``). Each is a value with its rules; another one is declared here and named in ``POLICIES``.
"""

from __future__ import annotations

from gptlib._record import Record
from gptlib.table.priorities import count_try, may_boot, rank

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gptlib.table.attributes import Attributes


class Slot(Record):
    """A candidate: the number of its partition and its attributes."""

    number: int
    attributes: Attributes


class Choice(Record):
    """The slot to boot. ``attributes`` must be durable on the disk before anything of the slot runs."""

    number: int
    attributes: Attributes
    reason: str


class Policy(Record):
    """The rules of a boot loader.

    ``eligible``: whether it would boot a slot with these attributes at all. ``account``: the attributes of a slot once it has
    been chosen for one boot. ``last_resort``: what it boots of these slots, sorted by rank, when none is eligible.
    """

    name: str
    eligible: Callable[[Attributes], bool]
    account: Callable[[Attributes], Attributes]
    last_resort: Callable[[Sequence[Slot]], Choice | None]


def ranked(slots: Iterable[Slot]) -> list[Slot]:
    """By priority, highest first, then by partition number."""
    return sorted(slots, key=lambda slot: rank(slot.number, slot.attributes))


def best_proven(slots: Iterable[Slot]) -> Slot | None:
    """The slot to fall back on when no try can be accounted for: the first in rank that has proved itself."""
    return next((slot for slot in ranked(slots) if slot.attributes.successful), None)


def _may_boot_above_zero(attributes: Attributes) -> bool:
    return attributes.priority > 0 and may_boot(attributes)


def _count_while_unproven(attributes: Attributes) -> Attributes:
    if attributes.successful or not attributes.tries:
        return attributes
    counted = count_try(attributes)
    return counted if counted.tries else counted.with_slot(priority=0)


def _proven(slots: Sequence[Slot]) -> Choice | None:
    slot = best_proven(slots)
    if slot is None:
        return None
    return Choice(slot.number, slot.attributes, "last resort: no slot is eligible, but this one is known to boot")


def _first(slots: Sequence[Slot]) -> Choice | None:
    first = min(slots, default=None)
    if first is None:
        return None
    return Choice(first.number, first.attributes, "no slot is eligible: the first one, as cgpt next does")


GPTPRIO = Policy("gptprio", _may_boot_above_zero, count_try, _proven)
CGPT_NEXT = Policy("cgpt-next", may_boot, count_try, _first)
CHROMEOS = Policy("chromeos", _may_boot_above_zero, _count_while_unproven, _proven)
POLICIES = {policy.name: policy for policy in (GPTPRIO, CGPT_NEXT, CHROMEOS)}
"""Name -> policy, for settings and command lines."""
DEFAULT_POLICY = GPTPRIO


def may_be_chosen_already(policy: Policy, attributes: Attributes) -> bool:
    """Whether a boot loader that follows the policy can have chosen this slot, and counted its try, just now.

    With priority 0 it cannot, except where the policy boots such a slot: 0/0/0 is what a slot is while an update is written
    into it. No tries left is what the last try leaves, so that is none of our business.
    """
    return attributes.priority > 0 or policy.eligible(attributes)


def choose(policy: Policy, slots: Iterable[Slot]) -> Choice | None:
    """The slot that boots next, or None when nothing may be booted.

    >>> from gptlib import Attributes
    >>> armed = Slot(3, Attributes(0).with_slot(priority=2, tries=3))
    >>> choice = choose(GPTPRIO, [armed])
    >>> choice.number, str(choice.attributes), choice.reason
    (3, 'priority=2 tries=2 successful=0', 'not proved yet, 2 tries left after this one')
    """
    candidates = ranked(slots)
    for slot in candidates:
        if policy.eligible(slot.attributes):
            return Choice(slot.number, policy.account(slot.attributes), _reason(slot, candidates))
    return policy.last_resort(candidates)


def _reason(slot: Slot, candidates: Sequence[Slot]) -> str:
    attributes = slot.attributes
    passed_over = [other for other in candidates[: candidates.index(slot)] if other.attributes.priority]
    if attributes.successful:
        state = "known to boot"
    else:
        left = attributes.tries - 1
        state = f"not proved yet, {left} {'try' if left == 1 else 'tries'} left after this one"
    if passed_over:
        numbers = ", ".join(str(other.number) for other in passed_over)
        return f"{state}; partition {numbers} ranks higher but has no tries left and never proved itself"
    return state
