"""What the slots of a disk are, in words: pure, from the table and the number of the active slot."""

from __future__ import annotations

from bootselect.policy import choose, ranked
from bootselect.slots import slots_of
from gptlib._record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from bootselect.policy import Policy, Slot
    from gptlib.table.guid import Guid
    from gptlib.table.table import Table

GOOD, ARMED, TRYING, ROLLED_BACK, EMPTY, BAD, LAST_RESORT = (
    "good",
    "armed",
    "on trial",
    "rolled back",
    "empty",
    "bad",
    "last resort",
)


class SlotStatus(Record):
    """One slot. ``state`` is one of the words above, ``next`` says whether it boots next."""

    number: int
    label: str
    partuuid: str
    priority: int
    tries: int
    successful: int
    active: bool
    next: bool
    state: str
    explanation: str


class Status(Record):
    """All slots, and what boots next and why (empty when nothing would)."""

    slots: tuple[SlotStatus, ...]
    next_label: str
    next_reason: str


def status(table: Table, type_guid: Guid, policy: Policy, active: int | None) -> Status:
    """The state of every slot. ``active`` is None for a disk that the running system did not come from."""
    slots = slots_of(table, type_guid)
    choice = choose(policy, slots)
    following = choice.number if choice else None
    found = []
    for slot in slots:
        state, explanation = _state(slot, slots, policy, active, following)
        attributes, partition = slot.attributes, table.partition(slot.number)
        found.append(
            SlotStatus(
                slot.number,
                partition.label,
                partition.unique_guid.text,
                attributes.priority,
                attributes.tries,
                int(attributes.successful),
                slot.number == active,
                slot.number == following,
                state,
                explanation,
            )
        )
    label = table.partition(choice.number).label if choice else ""
    return Status(tuple(found), label, choice.reason if choice else "")


def _state(slot: Slot, slots: list[Slot], policy: Policy, active: int | None, following: int | None) -> tuple[str, str]:
    attributes = slot.attributes
    boots_by_right = policy.eligible(attributes)
    if slot.number == active and not attributes.successful:
        if slot.number == following and not boots_by_right:
            return TRYING, f"running, not marked good yet; {_FIRST}"
        left = attributes.tries if boots_by_right else 0
        return TRYING, f"running, not marked good yet; {left} more boots would be tried"
    if boots_by_right:
        if attributes.successful:
            return GOOD, "known to boot"
        return ARMED, f"tried up to {attributes.tries} times, then rolled back unless it is marked good"
    if attributes.successful:
        return LAST_RESORT, "known to boot; used when nothing else can be"
    if slot.number == following:
        return LAST_RESORT, f"not known to boot; {_FIRST}"
    state, explanation = _out_of_use(slot, slots)
    if policy.last_resort([slot]) is not None:
        explanation += "; once no slot is eligible, the first one that is usable is booted all the same"
    return state, explanation


_FIRST = "no slot is eligible, and the policy boots the first one"


def _out_of_use(slot: Slot, slots: list[Slot]) -> tuple[str, str]:
    if not slot.attributes.priority:
        return EMPTY, "not to be booted"
    behind = ranked(slots)
    behind = behind[behind.index(slot) + 1 :]
    if any(other.attributes.successful for other in behind):
        return ROLLED_BACK, "all tries are used up and it never proved itself; the next slot in rank boots instead"
    return BAD, "all tries are used up and it never proved itself"
