"""Errors of the configuration."""

from __future__ import annotations

from typing import NamedTuple

from gptlib.printable import printable
from update_agent.errors import UpdateError


class Origin(NamedTuple):
    """Where something was written: a file and its line, counted from 1; 0 where a line says nothing."""

    where: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.where}:{self.line}" if self.line else self.where


class Mistake(NamedTuple):
    """One thing that is wrong, and where."""

    origin: Origin
    problem: str

    def __str__(self) -> str:
        return printable(f"{self.origin}: {self.problem}")


class ConfigError(UpdateError):
    """The configuration has mistakes: all of them, a line for each. Nothing was done."""

    def __init__(self, *mistakes: Mistake) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes
