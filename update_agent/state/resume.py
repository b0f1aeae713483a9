"""What the start of the agent makes of the state that it finds: pure, from the state and what the machine shows.

The same function serves after a kill, a reboot, a power cut, and a state that was lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from update_agent.state.machine import MOST_UNTRIED, Event, Machine, advance
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from gptlib.table.attributes import Attributes

_S, _H = State, Happening


@dataclass(frozen=True)
class BootFacts:
    """What a running machine shows. Slots are named by their partition UUIDs, in lower case.

    ``boot_id`` is the kernel's; ``running`` is the slot that the system came from, ``next`` the one that boots next, None where
    nothing would. ``versions`` are those that the systems call themselves: that of ``running``, and of others where they are known.
    """

    boot_id: str
    running: str
    slots: Mapping[str, Attributes]
    next: str | None
    versions: Mapping[str, str]


def resume(machine: Machine, facts: BootFacts, now: datetime) -> Machine:
    """Where the update stands in truth; the same machine where nothing came between. Nothing is written.

    Called again with the same facts it gives the same machine, but for a download, which it interrupts again.
    """
    event = what_happened(machine, facts, now)
    return machine if event is None else advance(machine, event)


def what_happened(machine: Machine, facts: BootFacts, now: datetime) -> Event | None:
    """What must have come between the state and now; None for nothing."""
    state = machine.state
    if state in (_S.GOOD, _S.ROLLED_BACK):
        return None
    if state in (_S.IDLE, _S.CHECKING, _S.AVAILABLE):
        return _resting(machine, facts, now)
    slot = machine.slot or ""
    attributes = facts.slots.get(slot)
    if attributes is None:
        # It cannot be booted any more, whatever was in it.
        event = _H.ROLL_BACK if state is _S.PROVING else _H.WITHDRAW
        return Event(event, now, reason=f"the slot {slot} is not on the disk any more")
    if state in (_S.DOWNLOADING, _S.VERIFYING, _S.INSTALLING):
        return _writing(machine, facts, slot, attributes, now)
    return _armed(machine, facts, slot, attributes, now)


def _resting(machine: Machine, facts: BootFacts, now: datetime) -> Event | None:
    """Nothing of ours was on trial. What is, all the same, was armed by others, or by an agent whose state is lost."""
    running = facts.slots.get(facts.running)
    if running is not None and not running.successful:
        return _booted(facts, facts.running, facts.versions.get(facts.running, "unknown"), now)
    for slot, attributes in facts.slots.items():
        version = facts.versions.get(slot)
        used_up = attributes.priority and not attributes.tries and not attributes.successful
        if used_up and version and version != facts.versions.get(facts.running) and not machine.known_bad(version):
            reason = f"its slot was found with all tries used up ({attributes.short}), and it never proved itself"
            return Event(_H.ROLL_BACK, now, reason=reason, version=version, slot=slot)
    if machine.state is _S.CHECKING:
        return Event(_H.INTERRUPT, now)
    return None


def _writing(machine: Machine, facts: BootFacts, slot: str, attributes: Attributes, now: datetime) -> Event:
    """The slot is ours while it is 0/0/0. It may be armed only where that was to come next, or had come."""
    armed = machine.state is _S.INSTALLING
    if slot == facts.running:
        if armed:
            return _runs(facts, machine.version, attributes, now)
        return Event(_H.WITHDRAW, now, reason="the machine runs from the slot that was being written")
    if attributes.short == "0/0/0":
        return Event(_H.INTERRUPT, now)
    if armed and attributes.tries and not attributes.successful and facts.next == slot:
        return Event(_H.ARM, now, boot_id=facts.boot_id)
    if armed and not attributes.tries and not attributes.successful:
        return _used_up(attributes, now)
    return Event(_H.WITHDRAW, now, reason=f"somebody else changed the slot: it is {attributes.short}")


def _armed(machine: Machine, facts: BootFacts, slot: str, attributes: Attributes, now: datetime) -> Event | None:
    if slot == facts.running:
        if machine.state is _S.PROVING and not attributes.successful and machine.boot_id == facts.boot_id:
            return None
        return _runs(facts, machine.version, attributes, now)
    if machine.state is not _S.PROVING and machine.boot_id == facts.boot_id:
        return _same_boot(machine, facts, slot, attributes, now)
    return _old_slot(machine, facts, slot, attributes, now)


def _same_boot(machine: Machine, facts: BootFacts, slot: str, attributes: Attributes, now: datetime) -> Event | None:
    if facts.next != slot:
        return Event(
            _H.WITHDRAW,
            now,
            reason=f"somebody else changed the slots: this one is {attributes.short}, and not the next",
        )
    if machine.state is _S.REBOOTING:
        return Event(_H.HOLD, now, reason="the machine was asked to reboot, and has not done it")
    return None


def _old_slot(machine: Machine, facts: BootFacts, slot: str, attributes: Attributes, now: datetime) -> Event:
    """The machine booted since, and not from the new slot."""
    if attributes.successful and facts.next == slot:
        return Event(_H.PROVED, now)
    if attributes.successful:
        return Event(
            _H.ROLL_BACK,
            now,
            reason=f"it had proved itself, and then another slot was preferred to it ({attributes.short})",
        )
    if not attributes.tries:
        return _used_up(attributes, now)
    if facts.next != slot:
        return Event(
            _H.ROLL_BACK,
            now,
            reason=f"another slot is preferred to it ({attributes.short}), and it never proved itself",
        )
    if machine.untried + 1 >= MOST_UNTRIED:
        reason = f"{MOST_UNTRIED} boots did not try its slot, although it is the next one ({attributes.short})"
        return Event(_H.ROLL_BACK, now, reason=reason)
    reason = f"the machine booted the old slot, although this one is the next ({attributes.short})"
    return Event(_H.NOT_TRIED, now, reason=reason, boot_id=facts.boot_id)


def _runs(facts: BootFacts, version: str | None, attributes: Attributes, now: datetime) -> Event:
    if attributes.successful:
        return Event(_H.PROVED, now)
    return _booted(facts, facts.running, version or "unknown", now)


def _booted(facts: BootFacts, slot: str, version: str, now: datetime) -> Event:
    return Event(_H.BOOTED, now, version=version, slot=slot, boot_id=facts.boot_id)


def _used_up(attributes: Attributes, now: datetime) -> Event:
    reason = f"all tries are used up and it never proved itself ({attributes.short})"
    return Event(_H.ROLL_BACK, now, reason=reason)
