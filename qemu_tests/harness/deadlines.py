"""Deadlines that fit the machine they run on."""

from __future__ import annotations

NOMINAL_BOOT_SECONDS = 12.0
"""From power-on to the greeting of a tiny slot, under TCG on two idle cores with another machine beside."""


class Deadlines:
    """A factor for all deadlines: 1 on an idle machine, more where guests were measured to be slower.

    Deadlines are there to end a wait that would never end; they are not what a test measures.
    """

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = max(1.0, factor)

    def observe_boot(self, seconds: float) -> None:
        """Learn from a boot that went well; the factor only grows."""
        self.factor = max(self.factor, seconds / NOMINAL_BOOT_SECONDS)

    def seconds(self, base: float) -> float:
        """The deadline for what should take less than ``base`` seconds on an idle machine."""
        return base * self.factor
