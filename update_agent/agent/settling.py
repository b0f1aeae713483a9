"""What is still to be done about an update whose verdict is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.reboot.promise import Book, Verdict, note_verdict
from update_agent.slot.disarm import disarm
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from update_agent.agent.session import Session


def settle(session: Session) -> None:
    """Leave the states good and rolled back: everybody was told when they were entered.

    A slot that was rolled back and could still be booted is 0/0/0 first, and what is owed to other machines is written down. Raises
    StateWriteError, PromiseError, and what gptlib raises.
    """
    if session.state is State.ROLLED_BACK:
        slot, facts = session.machine.slot or "", session.facts
        attributes = facts.slots.get(slot)
        left_over = attributes is not None and attributes.priority and attributes.tries and not attributes.successful
        if left_over and slot != facts.running:
            disarm(session.world.found, slot, session.tell)
    if session.state in (State.GOOD, State.ROLLED_BACK):
        machine = session.machine
        verdict = Verdict.GOOD if session.state is State.GOOD else Verdict.ROLLED_BACK
        if session.world.selector is not None:
            session.world.selector.owe(machine.version or "", proved=verdict is Verdict.GOOD)
        note_verdict(Book(session.world.folder, tell=session.tell), machine.version or "", verdict, machine.reason)
        session.step(Happening.SETTLE)
