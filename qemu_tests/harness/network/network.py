"""``Network``: what the machines of one test are plugged into."""

from __future__ import annotations

import math
import socket
import weakref
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

from qemu_tests.errors import NetworkError
from qemu_tests.harness.network.addresses import Directory
from qemu_tests.harness.network.capture import Capture
from qemu_tests.harness.network.conditions import Conditions
from qemu_tests.harness.network.station import Station
from qemu_tests.harness.network.switch import Switch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from types import TracebackType

    from qemu_tests.harness.network.addresses import Host
    from qemu_tests.harness.network.port import Counters


class Plug:
    """A machine's cable, for one power cycle.

    ``fd`` goes to QEMU as ``-netdev socket,id=net0,fd=N`` and ``mac`` to its card. When QEMU has started, ``close_fd``:
    with a second holder of its end, the end of QEMU would not be seen.
    """

    def __init__(self, host: Host, switch: Switch) -> None:
        """Plug in. Raises NetworkError."""
        ours, self._theirs = socket.socketpair()
        self.host, self._switch = host, switch
        try:
            self._port = switch.attach(host.name, ours)
        except NetworkError:
            ours.close()
            self._theirs.close()
            raise

    @property
    def fd(self) -> int:
        """The descriptor of QEMU's end; -1 after ``close_fd``."""
        return self._theirs.fileno()

    @property
    def mac(self) -> str:
        """The MAC address that the card must have, in the usual form with colons."""
        return self.host.mac

    @property
    def address(self) -> str:
        """The IPv4 address that the machine gets by DHCP."""
        return str(self.host.address)

    def close_fd(self) -> None:
        """Close QEMU's end in this process. Closing twice is harmless."""
        self._theirs.close()

    def unplug(self) -> None:
        """Pull the cable out. Unplugging twice is harmless."""
        self.close_fd()
        self._switch.detach(self.host.name, self._port)


class Network:
    """A private network. Machines get their address, name and domain by DHCP and find each other by name.

    They have no way out of it: there is no router. The switch is a station, too, at the first address of ``subnet``.
    Use it as a context manager, or ``close`` it; it ends with its last reference and with its process at the latest.
    """

    def __init__(self, name: str = "net", subnet: str = "10.77.0.0/24", capture: Path | None = None) -> None:
        """``capture`` is a file for every frame that the switch gets or makes. Raises NetworkError, and OSError for it.

        The addresses follow from ``name``, ``subnet`` and the names of the machines in the order in which they come.
        """
        self.name = name
        self._directory = Directory(name, subnet)
        self._switch = Switch(name, Station(self._directory), Capture(capture) if capture else None)
        self._end = weakref.finalize(self, self._switch.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Pull out all cables and end the thread. Closing twice is harmless."""
        self._end()

    def reserve(self, machine: str) -> Host:
        """The addresses of a machine, before it is plugged in. From now on it has a name, and can be cut off.

        Raises NetworkError when the subnet is full or no host name can be made of its name.
        """
        return self._directory.add(machine)

    def plug(self, machine: str) -> Plug:
        """Plug a machine in, with the addresses it has had before. Raises as ``reserve``, and when it is plugged in."""
        return Plug(self.reserve(machine), self._switch)

    @property
    def hosts(self) -> Mapping[str, Host]:
        """The machines by their names."""
        return self._directory.hosts

    @property
    def problem(self) -> NetworkError | None:
        """The first thing that went wrong: a machine that sent what is no frame, a capture that could not be written."""
        return self._switch.problem

    @property
    def frames(self) -> Mapping[str, Counters]:
        """How many frames each machine sent and got until now."""
        return MappingProxyType(dict(self._switch.counters))

    @property
    def conditions(self) -> Conditions:
        """What is wrong with the network at this moment."""
        return self._switch.conditions

    def cut_off(self, machine: str) -> None:
        """Drop all frames from and to a machine. Its card sees no difference: the cable stays plugged in."""
        known = self._known([machine])
        self._switch.change(lambda now: replace(now, cut_off=now.cut_off | known))

    def join(self, machine: str) -> None:
        """The end of ``cut_off``. Harmless when it was not cut off."""
        known = self._known([machine])
        self._switch.change(lambda now: replace(now, cut_off=now.cut_off - known))

    def partition(self, *groups: Iterable[str]) -> None:
        """Machines of different groups do not hear each other from now on; a former partition ends.

        A machine in two groups hears both, one in none hears all. DHCP and DNS stay in everybody's reach.
        """
        known = tuple(self._known(group) for group in groups)
        self._switch.change(lambda now: replace(now, groups=known))

    def delay(self, seconds: float) -> None:
        """Every frame takes so much longer from one machine to another, a ping twice as much. 0 ends it."""
        if not 0 <= seconds < math.inf:
            raise NetworkError(self.name, f"a delay of {seconds} s; expected 0 or more")
        self._switch.change(lambda now: replace(now, delay=seconds))

    def loss(self, share: float, seed: int = 0) -> None:
        """Lose this share of the frames, 0 to 1, chosen by ``seed``: the same frames in the same order, the same losses."""
        if not 0 <= share <= 1:
            raise NetworkError(self.name, f"a loss of {share}; expected a share from 0 to 1")
        self._switch.change(lambda now: replace(now, loss=share), seed)

    def heal(self) -> None:
        """End every fault: cuts, partition, delay and loss."""
        self._switch.change(lambda _: Conditions())

    def _known(self, machines: Iterable[str]) -> frozenset[str]:
        """These names. Raises NetworkError for one that the network does not know: a fault for nobody is a mistake."""
        wanted = frozenset([machines] if isinstance(machines, str) else machines)
        for machine in sorted(wanted - self.hosts.keys()):
            there = ", ".join(self.hosts) or "none yet"
            raise NetworkError(self.name, f"there is no machine {machine!r}; there are: {there}")
        return wanted
