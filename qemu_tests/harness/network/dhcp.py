"""The DHCP server (RFC 2131, 2132): every machine has one address, which it gets however often it asks."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dpkt

from qemu_tests.harness.network.packets import BROADCAST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qemu_tests.harness.network.addresses import Directory, Host

SERVER_PORT, CLIENT_PORT = 67, 68
DOMAIN = "slotboot.test"
LEASE_SECONDS = 86400
"""One day: no test is as long, so that a renewal is never in the way of one."""
_REQUEST, _REPLY = 1, 2
_BROADCAST_FLAG = 0x8000
_HEADER = 236
_OPTIONS_AT = 240
_SMALLEST = 300
"""Bytes of a BOOTP message (RFC 951); old clients, such as that of klibc, and relays drop shorter ones."""
_PAD, _END = 0, 255
_NETMASK, _DNS, _HOST_NAME, _DOMAIN, _BROADCAST = 1, 6, 12, 15, 28
_REQUESTED, _LEASE, _TYPE, _SERVER, _T1, _T2 = 50, 51, 53, 54, 58, 59


@dataclass(frozen=True)
class Answer:
    """A message for the client, and where it goes: an address, or all."""

    message: bytes
    target: ipaddress.IPv4Address
    broadcast: bool


def answer(directory: Directory, request: bytes) -> Answer | None:
    """The answer to a message of a client; None when there is none, as to a broken message or a stranger's.

    A stranger is whoever has not the MAC address of its plug: its machine has one address, and that is not its.
    """
    options = _options(request)
    if options is None or (request[0], request[1], request[2]) != (_REQUEST, 1, 6):
        return None
    host = directory.by_mac(request[28:34])
    if host is None:
        return None
    kind = options.get(_TYPE, b"")
    if kind == bytes([dpkt.dhcp.DHCPDISCOVER]):
        return _grant(directory, host, request, dpkt.dhcp.DHCPOFFER)
    if kind == bytes([dpkt.dhcp.DHCPREQUEST]):
        return _request(directory, host, request, options)
    if kind == bytes([dpkt.dhcp.DHCPINFORM]):
        return _grant(directory, host, request, dpkt.dhcp.DHCPACK, lease=False)
    return None  # RELEASE and DECLINE have no answer, and the address stays the machine's


def _request(directory: Directory, host: Host, request: bytes, options: Mapping[int, bytes]) -> Answer | None:
    server = options.get(_SERVER)
    if server is not None and server != directory.switch.address.packed:
        return None  # it chose another server, perhaps one of the test's machines
    if _wanted(request, options) == host.address.packed:
        return _grant(directory, host, request, dpkt.dhcp.DHCPACK)
    refusal = _message(request, bytes(4), [(_TYPE, bytes([dpkt.dhcp.DHCPNAK])), _server(directory)])
    return Answer(refusal, BROADCAST, broadcast=True)


def _wanted(request: bytes, options: Mapping[int, bytes]) -> bytes:
    """The address that is asked for: in an option by who has none yet, else in the header (RFC 2131, 4.3.2)."""
    return options.get(_REQUESTED) or request[12:16]


def _grant(directory: Directory, host: Host, request: bytes, kind: int, *, lease: bool = True) -> Answer:
    options = [(_TYPE, bytes([kind])), _server(directory)]
    if lease:
        for option, seconds in ((_LEASE, LEASE_SECONDS), (_T1, LEASE_SECONDS // 2), (_T2, LEASE_SECONDS * 7 // 8)):
            options.append((option, struct.pack(">L", seconds)))
    options += [
        (_NETMASK, directory.subnet.netmask.packed),
        (_BROADCAST, directory.subnet.broadcast_address.packed),
        (_DNS, directory.switch.address.packed),
        (_HOST_NAME, host.host.encode()),
        (_DOMAIN, DOMAIN.encode()),
    ]
    has = request[12:16]
    flags = int.from_bytes(request[10:12], "big")
    broadcast = not any(has) and bool(flags & _BROADCAST_FLAG)
    target = BROADCAST if broadcast else ipaddress.IPv4Address(has) if any(has) else host.address
    return Answer(_message(request, host.address.packed if lease else bytes(4), options), target, broadcast)


def _server(directory: Directory) -> tuple[int, bytes]:
    return _SERVER, directory.switch.address.packed


def _message(request: bytes, given: bytes, options: list[tuple[int, bytes]]) -> bytes:
    has = request[12:16] if any(given) or options[0][1] == bytes([dpkt.dhcp.DHCPACK]) else bytes(4)
    head = dpkt.dhcp.DHCP(
        op=_REPLY,
        xid=int.from_bytes(request[4:8], "big"),
        flags=int.from_bytes(request[10:12], "big"),
        ciaddr=int.from_bytes(has, "big"),
        yiaddr=int.from_bytes(given, "big"),
        giaddr=int.from_bytes(request[24:28], "big"),
        chaddr=request[28:44],
        opts=options,
    )
    return bytes(head).ljust(_SMALLEST, b"\0")


def _options(message: bytes) -> dict[int, bytes] | None:
    """The options; None when the message is broken. Not dpkt's: it ends quietly at an option that is cut short."""
    if len(message) < _OPTIONS_AT or message[_HEADER:_OPTIONS_AT] != dpkt.dhcp.DHCP_MAGIC.to_bytes(4, "big"):
        return None
    found: dict[int, bytes] = {}
    at = _OPTIONS_AT
    while at < len(message) and message[at] != _END:
        if message[at] == _PAD:
            at += 1
            continue
        if at + 1 >= len(message) or at + 2 + message[at + 1] > len(message):
            return None
        found[message[at]] = message[at + 2 : at + 2 + message[at + 1]]
        at += 2 + message[at + 1]
    return found
