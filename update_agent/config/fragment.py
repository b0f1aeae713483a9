"""What one file, or the environment, says: assignments as they were written, not judged yet."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from update_agent.config.errors import Mistake, Origin

if TYPE_CHECKING:
    from collections.abc import Iterable

LARGEST = 1 << 20
"""Bytes of a file that is read."""


class Assignment(NamedTuple):
    """A value as a text, and where it was written. ``key`` is that of the settings, ``name`` the one that stands there."""

    key: str
    name: str
    value: str
    origin: Origin


@dataclass
class Fragment:
    """The assignments of one source in their order, and what is wrong with it."""

    where: str
    assignments: list[Assignment] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)

    def assign(self, key: str, name: str, value: str, line: int = 0) -> None:
        """The source says this."""
        self.assignments.append(Assignment(key, name, value, Origin(self.where, line)))

    def wrong(self, problem: str, line: int = 0) -> None:
        """Something in the source is wrong."""
        self.mistakes.append(Mistake(Origin(self.where, line), problem))

    def unknown(self, name: str, known: Iterable[str], line: int = 0) -> None:
        """The source has a name that means nothing."""
        section, dot, last = name.rpartition(".")
        beside = [other.rpartition(".")[2] for other in known if other.rpartition(".")[0] == section]
        close = difflib.get_close_matches(last, beside, 1, 0.75)
        hint = f"; did you mean {section}{dot}{close[0]}?" if close else "; all are in docs/update-settings.md"
        self.wrong(f"{name} is no setting{hint}", line)

    def text(self, data: bytes) -> str | None:
        """The text of a file; None where it is none."""
        if len(data) > LARGEST:
            self.wrong(f"it has more than {LARGEST} bytes")
            return None
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            self.wrong(f"it is not UTF-8 ({error.reason})", data.count(b"\n", 0, error.start) + 1)
            return None
