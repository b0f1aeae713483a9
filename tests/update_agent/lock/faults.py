"""A client of etcd whose answers stay away, in front of a real one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from update_agent.lock.errors import LockAmbiguousError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from update_agent.lock.etcd import Etcd
    from update_agent.lock.wire import Txn

DONE, LOST, NEVER, LATER = "done", "lost", "never", "later"
"""A change is made; it is made and its answer is lost; its question is; a member sleeps with it, and makes it when it wakes up."""


class Faulty:
    """``fates`` are those of the next changes; the ones after them are done."""

    def __init__(self, etcd: Etcd, fates: Iterable[str] = ()) -> None:
        self._etcd, self.fates = etcd, list(fates)
        self.made = False
        """Whether the change was made whose answer was lost last."""
        self._asleep: list[tuple[Any, ...]] = []

    def change(self, *question: Any) -> Txn:  # noqa: ANN401  (as Etcd.change)
        fate = self.fates.pop(0) if self.fates else DONE
        if fate == LATER:
            self._asleep.append(question)
        if fate in (LATER, NEVER):
            raise LockAmbiguousError("http://asleep", "nothing was heard")
        answer = self._etcd.change(*question)
        if fate == LOST:
            self.made = answer.succeeded
            raise LockAmbiguousError("http://asleep", "the answer was lost")
        return answer

    def wake(self) -> int:
        """What slept is made, if it still can be: the number of changes that were."""
        asleep, self._asleep = self._asleep, []
        return sum(self._etcd.change(*question).succeeded for question in asleep)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._etcd, name)
