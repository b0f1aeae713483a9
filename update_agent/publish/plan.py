"""Who signs what in a new repository, for how long it holds, and the text that says where each key belongs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ONLINE = ("snapshot", "timestamp")
"""Roles that are signed again by a timer, without a person."""


@dataclass(frozen=True)
class Role:
    """``keys`` are made, of which ``threshold`` must sign; what they sign holds for ``days``.

    Raises ValueError for a threshold that the keys cannot reach.
    """

    keys: int
    threshold: int
    days: int

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= self.keys or self.days < 1:
            raise ValueError(
                f"{self.threshold} of {self.keys} keys, for {self.days} days: expected 1 <= threshold <= keys, 1 <= days"
            )


@dataclass(frozen=True)
class Plan:
    """The roles of a new repository. A root that has expired stops every machine, so it holds long."""

    root: Role = Role(3, 2, 730)
    targets: Role = Role(1, 1, 365)
    snapshot: Role = Role(1, 1, 30)
    timestamp: Role = Role(1, 1, 7)

    def roles(self) -> Mapping[str, Role]:
        """By the names that TUF has for them."""
        return {"root": self.root, "targets": self.targets, "snapshot": self.snapshot, "timestamp": self.timestamp}


def describe(plan: Plan, files: Mapping[str, list[str]]) -> str:
    """Which file belongs where. ``files``: the names of the key files of each role."""
    names = {role: ", ".join(found) for role, found in files.items()}
    return f"""\
Keys of an update repository. Whoever has a key can sign what it signs; nobody can make a lost one again.

Offline, each on a medium of its own, in different safes:
  {names["root"]}
      root: {plan.root.threshold} of {plan.root.keys} sign which keys count. Needed once in {plan.root.days} days, and to rotate or revoke a key.
      Of {plan.root.keys} keys {plan.root.keys - plan.root.threshold} may be lost.

Offline, or with the people who release:
  {names["targets"]}
      targets: {plan.targets.threshold} of {plan.targets.keys} sign which releases there are. Needed to add, promote or withdraw a release,
      and once in {plan.targets.days} days.

Online, in the pipeline:
  {names["snapshot"]}
  {names["timestamp"]}
      snapshot, timestamp: signed again by a timer, at least once in {plan.snapshot.days} and {plan.timestamp.days} days. With these alone nobody can
      install anything on a machine; a thief can hold back what is new until they are rotated.

The machines get metadata/1.root.json, built into their image. No file of this folder belongs on a web server.
"""
