"""The four machines, each followed from reboot to reboot by a thread of its own."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qemu_tests.errors import WaitTimeoutError
from qemu_tests.harness.hardware import Hardware, PrivateNetwork, UserNetwork
from qemu_tests.story import timeline as kinds
from qemu_tests.story.cluster.watching import ETCD, WEBSITE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from qemu_tests.harness.network.network import Network
    from qemu_tests.story.stage import Stage

NAMES = ("node1", "node2", "node3", "node4")
MEMBERS = NAMES[:3]
"""Those with etcd."""
ADDRESSES = {name: f"10.77.0.{10 + number}" for number, name in enumerate(NAMES)}
"""As the network gives them to the machines in this order."""
_LOOK = 2.0


def hardware(network: Network) -> Hardware:
    """Of each machine: a card in the network of the cluster, and one by which it reaches the repository, and is watched."""
    cards = (PrivateNetwork(network), UserNetwork(forwards=(ETCD, WEBSITE), restrict=False))
    return Hardware(memory=512, nics=cards)


@dataclass(frozen=True)
class Reboot:
    """A machine ended a boot by itself, ``at`` a time of the monotonic clock; ``slots`` are the attributes on its disk."""

    name: str
    at: float
    slots: Mapping[str, str]


@dataclass
class Machines:
    """The stages by the names of the machines, and what was seen. Use it as a context manager once all are switched on."""

    stages: Mapping[str, Stage]
    reboots: list[Reboot] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._problems: list[BaseException] = []
        self._threads = [threading.Thread(target=self._follow, args=(name,), daemon=True) for name in self.stages]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        if error is None:
            self.check()

    def check(self) -> None:
        """Raise what went wrong with one of the machines."""
        if self._problems:
            raise self._problems[0]

    def of(self, name: str) -> Sequence[Reboot]:
        """The reboots of one machine."""
        return [reboot for reboot in self.reboots if reboot.name == name]

    def addresses(self, port: int) -> dict[str, str]:
        """Where this port of each machine is reached from here."""
        names = MEMBERS if port == ETCD else NAMES
        return {name: f"http://127.0.0.1:{self.stages[name].machine.port(port)}" for name in names}

    def _follow(self, name: str) -> None:
        try:
            while not self._over.is_set():
                self._next_reboot(name)
        except BaseException as error:  # noqa: BLE001  (raised again by ``check``)
            self._problems.append(error)
            self._over.set()

    def _next_reboot(self, name: str) -> None:
        stage = self.stages[name]
        try:
            boundary = stage.machine.wait_for_boundary(_LOOK)
        except WaitTimeoutError:
            return
        at = time.monotonic()
        stage.check("how the boot ended", "reboot", boundary.kind)
        verdict = stage.machine.judge()
        stage.tell(kinds.BOUNDARY, "it rebooted by itself")
        stage.tell(kinds.DISK, "between the boots", verdict.slots)
        self.reboots.append(Reboot(name, at, dict(verdict.slots)))
        stage.resume("after its reboot")
