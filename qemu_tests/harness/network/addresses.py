"""Who is who in a network: names, MAC and IP addresses, which are the same in every run."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import threading
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from qemu_tests.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Mapping

SWITCH = "switch"
"""The host name of the switch itself, which has the first address."""
_FIRST_MACHINE = 10
"""The last part of the address of the first machine, where the subnet has room: the ones below look like infrastructure."""
_LONGEST_LABEL = 63


@dataclass(frozen=True)
class Host:
    """A station of the network. ``name`` is that of the machine, ``host`` what others call it: a label of RFC 1123."""

    name: str
    host: str
    mac: str
    address: ipaddress.IPv4Address

    @property
    def mac_bytes(self) -> bytes:
        """The six bytes of the MAC address."""
        return bytes.fromhex(self.mac.replace(":", ""))


def host_label(name: str) -> str:
    """A host name made of the name of a machine: small letters, digits and hyphens, at most 63.

    >>> host_label("Test_Update[b]")
    'test-update-b'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_LONGEST_LABEL].rstrip("-")


def derived_mac(network: str, name: str, attempt: int = 0) -> str:
    """A locally administered unicast MAC address that follows from the names.

    >>> derived_mac("net", "a")
    '52:d1:a1:96:d4:12'
    """
    digest = hashlib.sha256(f"{network}\0{name}\0{attempt}".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x52, *digest[:5]))


class Directory:
    """The hosts of one network. Hosts are added and never removed, so addresses stay. Any thread may ask."""

    def __init__(self, network: str, subnet: str) -> None:
        """Raises NetworkError when ``subnet`` is none, such as ``10.77.0.1/24``, or has no room for a machine."""
        self.network = network
        try:
            self.subnet = ipaddress.IPv4Network(subnet)
        except ValueError as error:
            raise NetworkError(network, f"subnet {subnet!r}: {error}; expected one such as '10.77.0.0/24'") from error
        if self.subnet.prefixlen > 30:
            raise NetworkError(network, f"subnet {subnet} has no room for a machine; expected at least a /30")
        self._lock = threading.Lock()
        self._hosts: Mapping[str, Host] = MappingProxyType({})
        self.switch = Host(SWITCH, SWITCH, derived_mac(network, ""), self.subnet[1])

    @property
    def hosts(self) -> Mapping[str, Host]:
        """The machines by their names, in the order in which they came."""
        return self._hosts

    def add(self, name: str) -> Host:
        """The host of a machine, a new one at the first time. Raises NetworkError: no room, or a name that cannot be one."""
        with self._lock:
            found = self._hosts.get(name)
            if found is None:
                found = self._new(name)
                # Replaced as a whole: the thread of the switch may be going through the old one.
                self._hosts = MappingProxyType({**self._hosts, name: found})
            return found

    def _new(self, name: str) -> Host:
        host = host_label(name)
        if not host:
            raise NetworkError(
                self.network, f"machine {name!r}: no host name can be made of that; use letters or digits"
            )
        for other in (self.switch, *self._hosts.values()):
            if other.host == host:
                raise NetworkError(
                    self.network, f"machine {name!r}: its host name would be {host!r}, as that of {other.name!r} is"
                )
        taken = {other.mac for other in (self.switch, *self._hosts.values())}
        attempt = 0
        while (mac := derived_mac(self.network, name, attempt)) in taken:
            attempt += 1
        return Host(name, host, mac, self._free_address(name))

    def _free_address(self, name: str) -> ipaddress.IPv4Address:
        last = self.subnet.num_addresses - 2
        number = min(_FIRST_MACHINE, last - 1) if last > _FIRST_MACHINE else 2
        address = self.subnet[number] + len(self._hosts)
        if address > self.subnet[last]:
            raise NetworkError(self.network, f"machine {name!r}: no address is left in {self.subnet}")
        return address

    def by_mac(self, mac: bytes) -> Host | None:
        """The machine with that MAC address."""
        return next((host for host in self._hosts.values() if host.mac_bytes == mac), None)

    def by_label(self, label: str) -> Host | None:
        """The switch or the machine that others call so; letters may be capital ones."""
        wanted = label.lower()
        return next((host for host in (self.switch, *self._hosts.values()) if host.host == wanted), None)

    def by_address(self, address: ipaddress.IPv4Address) -> Host | None:
        """The switch or the machine with that address."""
        return next((host for host in (self.switch, *self._hosts.values()) if host.address == address), None)
