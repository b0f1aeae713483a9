"""The switch as a station of its own network: it has an address and answers ARP, ICMP echo, DHCP and DNS."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qemu_tests.harness.network import dhcp, names
from qemu_tests.harness.network.packets import BROADCAST_MAC, Arp, Datagram, Echo, build, parse

if TYPE_CHECKING:
    from qemu_tests.harness.network.addresses import Directory


class Station:
    """Pure: what it is told does not change it."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.mac = directory.switch.mac_bytes
        """The six bytes of its MAC address."""

    def answer(self, frame: bytes) -> bytes | None:
        """The frame that answers this one; None when there is no answer, as to all that is broken or not for the station."""
        target = frame[:6]
        if target not in (self.mac, BROADCAST_MAC):
            return None
        packet = parse(frame)
        if isinstance(packet, Arp):
            return self._arp(packet)
        if isinstance(packet, Echo):
            return self._echo(packet)
        if isinstance(packet, Datagram):
            return self._datagram(packet)
        return None

    def _arp(self, question: Arp) -> bytes | None:
        mine = self._directory.switch.address
        if question.reply or question.target != mine:
            return None
        return build(Arp(self.mac, question.source_mac, mine, question.source, reply=True))

    def _echo(self, request: Echo) -> bytes | None:
        mine = self._directory.switch.address
        if request.reply or request.target != mine:
            return None
        return build(Echo(self.mac, request.source_mac, mine, request.source, request.data, reply=True))

    def _datagram(self, request: Datagram) -> bytes | None:
        if request.target_port == dhcp.SERVER_PORT:
            return self._dhcp(request)
        if request.target_port == names.PORT and request.target == self._directory.switch.address:
            data = names.answer(self._directory, request.data)
            return None if data is None else build(self._back(request, data))
        return None

    def _dhcp(self, request: Datagram) -> bytes | None:
        found = dhcp.answer(self._directory, request.data)
        if found is None:
            return None
        mac = BROADCAST_MAC if found.broadcast else request.source_mac
        back = self._back(request, found.message)
        return build(replace(back, target_mac=mac, target=found.target, target_port=dhcp.CLIENT_PORT))

    def _back(self, request: Datagram, data: bytes) -> Datagram:
        return Datagram(
            self.mac,
            request.source_mac,
            self._directory.switch.address,
            request.source,
            request.target_port,
            request.source_port,
            data,
        )
