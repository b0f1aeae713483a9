"""Frames for the switch itself taken apart, and its answers put together: Ethernet, ARP (RFC 826), IPv4 (791), UDP (768)."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

import dpkt

BROADCAST_MAC = b"\xff" * 6
BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_DO_NOT_FRAGMENT = 0x4000


@dataclass(frozen=True)
class Datagram:
    """A UDP datagram and where it goes. MAC addresses are six bytes."""

    source_mac: bytes
    target_mac: bytes
    source: ipaddress.IPv4Address
    target: ipaddress.IPv4Address
    source_port: int
    target_port: int
    data: bytes


@dataclass(frozen=True)
class Echo:
    """An ICMP echo request or reply (RFC 792); ``data`` is all behind the checksum: identifier, number, payload."""

    source_mac: bytes
    target_mac: bytes
    source: ipaddress.IPv4Address
    target: ipaddress.IPv4Address
    data: bytes
    reply: bool = False


@dataclass(frozen=True)
class Arp:
    """A question for the MAC address of an IPv4 address, or the answer."""

    source_mac: bytes
    target_mac: bytes
    source: ipaddress.IPv4Address
    target: ipaddress.IPv4Address
    reply: bool = False


def parse(frame: bytes) -> Datagram | Echo | Arp | None:
    """What is in a frame; None for everything else, for fragments, and for what is broken or has a wrong checksum."""
    kind = int.from_bytes(frame[12:14], "big")
    try:
        if kind == dpkt.ethernet.ETH_TYPE_ARP:
            return _parse_arp(frame)
        if kind == dpkt.ethernet.ETH_TYPE_IP:
            return _parse_ip(frame)
    except dpkt.Error:
        return None
    return None


def _parse_arp(frame: bytes) -> Arp | None:
    arp = dpkt.arp.ARP(frame[14:])
    if (arp.hrd, arp.pro, arp.hln, arp.pln) != (dpkt.arp.ARP_HRD_ETH, dpkt.arp.ARP_PRO_IP, 6, 4):
        return None
    source, target = ipaddress.IPv4Address(arp.spa), ipaddress.IPv4Address(arp.tpa)
    return Arp(arp.sha, arp.tha, source, target, reply=arp.op != dpkt.arp.ARP_OP_REQUEST)


def _parse_ip(frame: bytes) -> Datagram | Echo | None:
    # Not dpkt.ip.IP: it goes on into protocols that are not ours, with errors of their own.
    head = frame[14:34]
    if len(head) < 20 or head[0] >> 4 != 4:
        return None
    length, total = (head[0] & 15) * 4, int.from_bytes(head[2:4], "big")
    fragment = int.from_bytes(head[6:8], "big") & ~_DO_NOT_FRAGMENT
    packet = frame[14 : 14 + total]
    if length < 20 or len(packet) < total or total < length or fragment or dpkt.in_cksum(packet[:length]):
        return None
    source, target = ipaddress.IPv4Address(head[12:16]), ipaddress.IPv4Address(head[16:20])
    macs, data = (frame[6:12], frame[:6]), packet[length:]
    if head[9] == dpkt.ip.IP_PROTO_ICMP:
        return _parse_icmp(macs, source, target, data)
    if head[9] == dpkt.ip.IP_PROTO_UDP:
        return _parse_udp(macs, source, target, data)
    return None


def _parse_icmp(
    macs: tuple[bytes, bytes], source: ipaddress.IPv4Address, target: ipaddress.IPv4Address, data: bytes
) -> Echo | None:
    icmp = dpkt.icmp.ICMP.__hdr_len__
    kinds = {dpkt.icmp.ICMP_ECHO: False, dpkt.icmp.ICMP_ECHOREPLY: True}
    if len(data) < icmp + 4 or data[0] not in kinds or data[1] or dpkt.in_cksum(data):
        return None
    return Echo(*macs, source, target, data[icmp:], reply=kinds[data[0]])


def _parse_udp(
    macs: tuple[bytes, bytes], source: ipaddress.IPv4Address, target: ipaddress.IPv4Address, data: bytes
) -> Datagram | None:
    udp = dpkt.udp.UDP(data)
    if not dpkt.udp.UDP.__hdr_len__ <= udp.ulen <= len(data):
        return None
    data = data[: udp.ulen]
    pseudo = struct.pack(">4s4sxBH", source.packed, target.packed, dpkt.ip.IP_PROTO_UDP, udp.ulen)
    if udp.sum and dpkt.in_cksum(pseudo + data):
        return None
    return Datagram(*macs, source, target, udp.sport, udp.dport, data[dpkt.udp.UDP.__hdr_len__ :])


def build(packet: Datagram | Echo | Arp) -> bytes:
    """The frame, with all lengths and checksums. Shorter ones are not padded: there is no cable that needs it."""
    if isinstance(packet, Arp):
        operation = dpkt.arp.ARP_OP_REPLY if packet.reply else dpkt.arp.ARP_OP_REQUEST
        payload = dpkt.arp.ARP(
            op=operation,
            sha=packet.source_mac,
            spa=packet.source.packed,
            tha=packet.target_mac,
            tpa=packet.target.packed,
        )
        kind = dpkt.ethernet.ETH_TYPE_ARP
    else:
        payload, kind = _ip(packet), dpkt.ethernet.ETH_TYPE_IP
    head: bytes = packet.target_mac + packet.source_mac + kind.to_bytes(2, "big")
    return head + bytes(payload)


def _ip(packet: Datagram | Echo) -> dpkt.ip.IP:
    if isinstance(packet, Echo):
        kind = dpkt.icmp.ICMP_ECHOREPLY if packet.reply else dpkt.icmp.ICMP_ECHO
        protocol, data = dpkt.ip.IP_PROTO_ICMP, dpkt.icmp.ICMP(type=kind, data=packet.data)
    else:
        length = dpkt.udp.UDP.__hdr_len__ + len(packet.data)
        udp = dpkt.udp.UDP(sport=packet.source_port, dport=packet.target_port, ulen=length, data=packet.data)
        protocol, data = dpkt.ip.IP_PROTO_UDP, udp
    return dpkt.ip.IP(src=packet.source.packed, dst=packet.target.packed, p=protocol, data=data)
