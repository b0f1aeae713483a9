"""What can be wrong with what a server of the protocol says."""

from __future__ import annotations

from update_agent.errors import UpdateError


class OmahaAnswerError(UpdateError):
    """What a server sent is no answer of the protocol, or says what cannot be. Nothing of it is believed, and nothing was written."""

    def __init__(self, shown: str, problem: str) -> None:
        super().__init__(f"{shown}: this is no answer of an Omaha server: {problem}")
        self.shown, self.problem = shown, problem
