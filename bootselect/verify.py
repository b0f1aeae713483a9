"""What is wrong with a disk from the point of view of the next boots: pure, beside gptlib's findings on the table."""

from __future__ import annotations

from bootselect.policy import best_proven, choose
from bootselect.slots import slots_of
from gptlib.read.findings import ERROR, WARNING, Finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from bootselect.policy import Policy
    from gptlib.table.guid import Guid
    from gptlib.table.table import Table


def slot_findings(table: Table, type_guid: Guid, policy: Policy) -> Iterator[Finding]:
    """One finding for each thing that keeps the machine from booting, or from rolling back."""

    def finding(code: str, severity: str, message: str) -> Finding:
        return Finding(code, severity, "slots", message)

    slots = slots_of(table, type_guid)
    if not slots:
        yield finding("no-slots", ERROR, "there is no partition of the slot type")
        return
    choice = choose(policy, slots)
    if choice is None:
        yield finding("nothing-bootable", ERROR, "no slot is bootable, and none is known to boot")
    else:
        label = table.partition(choice.number).label
        others = [slot for slot in slots if slot.number != choice.number]
        if not any(slot.attributes.successful or policy.eligible(slot.attributes) for slot in slots):
            message = f"no slot is eligible and none is known to boot; the policy boots the first one, {label}"
            yield finding("nothing-eligible", WARNING, message)
        if best_proven(others) is None:
            if any(policy.eligible(slot.attributes) for slot in others):
                message = (
                    f"{label} boots next, and no other slot is known to boot: there is nothing proven to roll back to"
                )
            else:
                message = f"only {label} can boot: there is nothing to roll back to"
            yield finding("no-fallback", WARNING, message)
    labels = [table.partition(slot.number).label for slot in slots]
    for label in sorted({label for label in labels if labels.count(label) > 1}):
        yield finding("duplicate-label", WARNING, f"more than one slot is called {label!r}; name them by number")
    for slot in slots:
        attributes = slot.attributes
        if attributes.tries and not attributes.successful and not policy.eligible(attributes):
            partition = table.partition(slot.number)
            yield finding(
                "tries-without-priority",
                WARNING,
                f"{partition.label} has {attributes.tries} tries but priority 0: it is not tried",
            )
