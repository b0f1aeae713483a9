"""Errors of the coordination of reboots."""

from __future__ import annotations

from update_agent.errors import UpdateError


class PromiseError(UpdateError):
    """What this machine promised to others cannot be written down, so that nothing is promised: no lock is taken, no hook is run."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}; no reboot is begun that others would have to know of")
        self.path = path
