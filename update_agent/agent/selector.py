"""A server that says which release a machine takes now, as the agent needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from update_agent.agent.choice import Nothing, Selected
    from update_agent.agent.session import Listener
    from update_agent.state.machine import Machine
    from update_agent.state.resume import BootFacts


class Selector(Protocol):
    """It selects among releases that are signed, and is told what becomes of them. Only ``ask`` raises."""

    def ask(self, facts: BootFacts) -> Selected | Nothing:
        """What this machine may take now, and deliver what is owed. Raises a TransportError, and an UpdateError for nonsense."""

    def refuse(self, facts: BootFacts, why: Nothing) -> None:
        """What was selected is not taken."""

    def listener(self, machine: Machine, facts: BootFacts) -> Listener:
        """For the steps of a session that begins with this machine: they are reported while they are taken."""

    def owe(self, version: str, *, proved: bool) -> None:
        """The verdict on a version is delivered with the next question, once, whenever that is. May be called again."""
