"""What happens to the members of an etcd and to the network while a fleet updates itself: one trouble after the other, each ends."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.update_agent.lock.network import CLIENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.update_agent.lock.etcd import Cluster, Member
    from tests.update_agent.lock.history import History
    from tests.update_agent.lock.network import Network, Way

KINDS = (
    "a member is frozen",
    "the leader is frozen",
    "two are frozen",
    "a member is killed",
    "the leader is killed",
    "two are killed",
    "a member is cut off",
    "the leader is cut off",
    "the leader hears nothing",
    "the leader is not heard",
    "two members are cut from each other",
    "clients are cut from a member",
    "clients do not hear a member",
    "a member does not hear clients",
    "all clients are cut off",
    "compacted",
)
LONG = "the leader is frozen for 7 s"


class Troubles:
    """``plan``: kinds in their order. Each begins when ``progress``, from 0 to 1, has come so far, and after the one before has ended."""

    def __init__(
        self, cluster: Cluster, history: History, progress: Callable[[], float], seed: int, rounds: int
    ) -> None:
        self._cluster, self._history, self._progress = cluster, history, progress
        self._luck = random.Random(seed)
        self.plan = [LONG, *KINDS * rounds]
        self._luck.shuffle(self.plan)
        self._many, self.done = len(self.plan), list[str]()
        self._end = 0.0
        self._broken: list[Member] = []
        self._cut = False

    def __call__(self, now: float) -> None:
        """To be called again and again, with the seconds of any clock."""
        self._history.tend()
        if now < self._end:
            return
        self.heal()
        if self.busy():
            what = self.plan.pop()
            self.done.append(what)
            self._begin(what)
            self._end = now + (7.0 if what == LONG else self._luck.uniform(0.5, 2.0))

    def busy(self) -> bool:
        """Whether the next one is due, and the one before has not ended."""
        return bool(self.plan) and self._progress() >= len(self.done) / self._many

    def heal(self) -> None:
        """What is broken is whole again."""
        for member in self._broken:
            member.start() if member.dead else member.thaw()
        self._broken.clear()
        if self._cut:
            self._network.cut()
            self._cut = False

    @property
    def _network(self) -> Network:
        assert self._cluster.network is not None
        return self._cluster.network

    def _begin(self, what: str) -> None:
        first, *rest = self._order(leader="leader" in what)
        one, two = first.name, [member.name for member in rest]
        if what == "compacted":
            self._compact()
        elif "cut" in what or "hear" in what:
            cuts: dict[str, list[Way]] = {
                "a member is cut off": both(one, *two),
                "the leader is cut off": both(one, *two),
                "the leader hears nothing": [(other, one) for other in two],
                "the leader is not heard": [(one, other) for other in two],
                "two members are cut from each other": both(*two),
                "clients are cut from a member": both(CLIENTS, one),
                "clients do not hear a member": [(one, CLIENTS)],
                "a member does not hear clients": [(CLIENTS, one)],
                "all clients are cut off": both(CLIENTS, one, *two),
            }
            self._network.cut(*cuts[what])
            self._cut = True
        else:
            self._broken = [first, *rest[: "two" in what]]
            for member in self._broken:
                member.kill() if "killed" in what else member.freeze()

    def _order(self, *, leader: bool) -> list[Member]:
        """The members; the leader first where it is meant and can be found, else somebody."""
        members = self._luck.sample(self._cluster.members, 3)
        if leader:
            with suppress(AssertionError):  # one that has just come back may not know the leader yet
                first = self._cluster.leader()
                members.sort(key=lambda member: member is not first)
        return members

    def _compact(self) -> None:
        """What has been read already is thrown away."""
        if self._history.revision:
            with suppress(AssertionError):  # a member that has just come back may not answer in time
                self._cluster.etcdctl("compact", str(self._history.revision))


def both(one: str, *others: str) -> list[Way]:
    """Both ways between the one and each of the others."""
    return [way for other in others for way in ((one, other), (other, one))]
