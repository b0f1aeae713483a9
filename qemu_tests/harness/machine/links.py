"""The network cards of a machine: their addresses, their cables, and the ports of the host that lead to it."""

from __future__ import annotations

from qemu_tests.errors import PortError
from qemu_tests.harness.hardware.command_line import nic_name
from qemu_tests.harness.hardware.ports import forwarded_ports
from qemu_tests.harness.hardware.values import UserNetwork
from qemu_tests.harness.machine.power import PoweredMachine


class LinkedMachine(PoweredMachine):
    """A machine with the network cards of its hardware, if any."""

    def port(self, number: int) -> int:
        """The port on 127.0.0.1 that leads to the guest's TCP port. Raises PortError when it is not in the ``forwards`` of a ``UserNetwork``."""
        shown = self.qmp.execute("human-monitor-command", {"command-line": "info usernet"})
        ports = forwarded_ports(str(shown))
        if number not in ports:
            raise PortError(self.name, number, sorted(ports))
        return ports[number]

    def cut_off(self) -> None:
        """Pull the cables of all network cards; the guest sees that the link is down."""
        self._set_links(up=False)

    def join(self) -> None:
        """Plug them in again."""
        self._set_links(up=True)

    def _set_links(self, *, up: bool) -> None:
        for number in range(len(self.hardware.nics)):
            self.qmp.execute("set_link", {"name": nic_name(number), "up": up})

    @property
    def addresses(self) -> tuple[str, ...]:
        """The IPv4 address of each network card, as its network gives it by DHCP."""
        return tuple(
            "10.0.2.15" if isinstance(nic, UserNetwork) else str(nic.network.reserve(self.name).address)
            for nic in self.hardware.nics
        )
