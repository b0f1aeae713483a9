"""Which slot boots next: pure functions of the slots' attributes.

Candidates are ranked by priority, highest first, and then by partition number, as GRUB, ChromeOS and CoreOS do. The
three policies are those of Flatcar's GRUB (``gptprio.next``), CoreOS's seismograph (``cgpt next``) and ChromeOS's firmware
(vboot ``cgptlib``).
"""

from __future__ import annotations

from gptlib._record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gptlib.table.attributes import Attributes

GPTPRIO, CGPT_NEXT, CHROMEOS = "gptprio", "cgpt-next", "chromeos"
POLICIES = (GPTPRIO, CGPT_NEXT, CHROMEOS)
DEFAULT_POLICY = GPTPRIO


class Slot(Record):
    """A candidate: the number of its partition and its attributes."""

    number: int
    attributes: Attributes


class Choice(Record):
    """The slot to boot. ``attributes`` must be durable on the disk before anything of the slot runs."""

    number: int
    attributes: Attributes
    reason: str


def ranked(slots: Iterable[Slot]) -> list[Slot]:
    """By priority, highest first, then by partition number."""
    return sorted(slots, key=lambda slot: (-slot.attributes.priority, slot.number))


def eligible(policy: str, attributes: Attributes) -> bool:
    """Whether the policy would boot a slot with these attributes at all, its last resort aside."""
    return bool(attributes.tries or attributes.successful) and (policy == CGPT_NEXT or attributes.priority > 0)


def may_be_chosen_already(policy: str, attributes: Attributes) -> bool:
    """Whether a boot loader that follows the policy can have chosen this slot, and counted its try, just now.

    With priority 0 it cannot, except under ``cgpt-next`` while the slot has tries left or is successful: 0/0/0 is what a slot
    is while an update is written into it. No tries left is what the last try leaves, so that is none of our business.
    """
    return attributes.priority > 0 or eligible(policy, attributes)


def account(policy: str, attributes: Attributes) -> Attributes:
    """The attributes of a slot once it has been chosen for one boot."""
    if not attributes.tries or (policy == CHROMEOS and attributes.successful):
        return attributes
    left = attributes.tries - 1
    if policy == CHROMEOS and not left:
        return attributes.with_slot(priority=0, tries=0)
    return attributes.with_slot(tries=left)


def choose(policy: str, slots: Iterable[Slot]) -> Choice | None:
    """The slot that boots next, or None when nothing may be booted.

    >>> from gptlib import Attributes
    >>> armed = Slot(3, Attributes(0).with_slot(priority=2, tries=3))
    >>> choice = choose(GPTPRIO, [armed])
    >>> choice.number, str(choice.attributes), choice.reason
    (3, 'priority=2 tries=2 successful=0', 'not proved yet, 2 tries left after this one')
    """
    candidates = ranked(slots)
    for slot in candidates:
        if eligible(policy, slot.attributes):
            return Choice(slot.number, account(policy, slot.attributes), _reason(slot, candidates))
    return _last_resort(policy, candidates)


def _last_resort(policy: str, candidates: Sequence[Slot]) -> Choice | None:
    if policy == CGPT_NEXT and candidates:
        first = min(candidates)
        return Choice(first.number, first.attributes, "no slot is eligible: the first one, as cgpt next does")
    proven = best_proven(candidates)
    if proven is None:
        return None
    return Choice(proven.number, proven.attributes, "last resort: no slot is eligible, but this one is known to boot")


def best_proven(slots: Iterable[Slot]) -> Slot | None:
    """The slot to fall back on when no try can be accounted for: the first in rank that has proved itself."""
    return next((slot for slot in ranked(slots) if slot.attributes.successful), None)


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
