"""The services of the switch, asked and read by scapy, which shares no code with them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from qemu_tests.harness.network.addresses import Directory
from qemu_tests.harness.network.station import Station

SWITCH, BROADCAST = "10.77.0.1", "ff:ff:ff:ff:ff:ff"
NONE = "0.0.0.0"  # noqa: S104 (nothing is bound)
DIRECTORY = Directory("net", "10.77.0.0/24")
A, B = DIRECTORY.add("a"), DIRECTORY.add("Test_B[1]")
STATION = Station(DIRECTORY)
MAC = DIRECTORY.switch.mac


def ask(packet: Packet) -> Packet | None:
    answer = STATION.answer(bytes(packet))
    if answer is None:
        return None
    read = Ether(answer)
    assert read.src == MAC
    for layer in (IP, UDP, ICMP):
        if layer in read:
            check_sum(answer, layer)
    return read


def check_sum(frame: bytes, layer: type[Packet]) -> None:
    """Scapy computes the checksum anew when it is deleted."""
    again = Ether(frame)
    found = again[layer].chksum
    del again[layer].chksum
    assert Ether(bytes(again))[layer].chksum == found != 0


def dhcp(
    kind: str, *options: object, mac: str = A.mac, source: str = NONE, ciaddr: str = NONE, flags: int = 0
) -> Packet:
    target = SWITCH if source != NONE else "255.255.255.255"
    return (
        Ether(src=mac, dst=BROADCAST if source == NONE else MAC)
        / IP(src=source, dst=target)
        / UDP(sport=68, dport=67)
        / BOOTP(chaddr=bytes.fromhex(mac.replace(":", "")), xid=0x12345678, ciaddr=ciaddr, flags=flags)
        / DHCP(options=[("message-type", kind), *options, "end"])
    )


def options_of(answer: Packet | None) -> dict[str, Any]:
    assert answer is not None
    assert (answer[UDP].sport, answer[UDP].dport, answer[BOOTP].op, answer[BOOTP].xid) == (67, 68, 2, 0x12345678)
    return {option[0]: option[1] for option in answer[DHCP].options if isinstance(option, tuple)}


OFFER, ACK, NAK = 2, 5, 6


@pytest.mark.parametrize(
    ("request_", "kind"),
    [
        (dhcp("discover"), OFFER),
        (dhcp("request", ("requested_addr", str(A.address)), ("server_id", SWITCH)), ACK),
        (dhcp("request", ("requested_addr", str(A.address))), ACK),
        (dhcp("request", source=str(A.address), ciaddr=str(A.address)), ACK),
    ],
    ids=["discover", "select", "after a reboot", "renew"],
)
def test_a_machine_gets_its_address_and_name(request_: Packet, kind: int) -> None:
    answer = ask(request_)
    options = options_of(answer)
    assert answer is not None
    assert (answer[BOOTP].yiaddr, answer[IP].dst, answer.dst) == (str(A.address), str(A.address), A.mac)
    assert options == {
        "message-type": kind,
        "server_id": SWITCH,
        "lease_time": 86400,
        "renewal_time": 43200,
        "rebinding_time": 75600,
        "subnet_mask": "255.255.255.0",
        "broadcast_address": "10.77.0.255",
        "name_server": SWITCH,
        "hostname": b"a",
        "domain": b"slotboot.test",
    }
    assert len(answer[UDP].payload) >= 300


def test_a_client_that_cannot_hear_unicast_yet_is_answered_to_all() -> None:
    answer = ask(dhcp("discover", flags=0x8000))
    assert answer is not None
    assert (answer.dst, answer[IP].dst) == (BROADCAST, "255.255.255.255")


def test_information_without_a_lease() -> None:
    answer = ask(dhcp("inform", source="10.77.0.200", ciaddr="10.77.0.200"))
    assert answer is not None
    assert answer[BOOTP].yiaddr == NONE
    assert answer[IP].dst == "10.77.0.200"
    assert "lease_time" not in options_of(answer)


def test_a_wrong_address_is_refused() -> None:
    answer = ask(dhcp("request", ("requested_addr", "192.168.1.7")))
    assert answer is not None
    assert answer.dst == BROADCAST
    assert options_of(answer) == {"message-type": NAK, "server_id": SWITCH}
    assert len(answer[UDP].payload) >= 300  # the smallest BOOTP message of RFC 951


@pytest.mark.parametrize(
    "request_",
    [
        dhcp("discover", mac="52:00:00:00:00:01"),
        dhcp("request", ("requested_addr", str(A.address)), ("server_id", "10.77.0.9")),
        dhcp("release", source=str(A.address), ciaddr=str(A.address)),
        dhcp("decline"),
    ],
    ids=["stranger", "another server", "release", "decline"],
)
def test_no_answer(request_: Packet) -> None:
    assert ask(request_) is None


def test_arp() -> None:
    answer = ask(Ether(src=A.mac, dst=BROADCAST) / ARP(hwsrc=A.mac, psrc=str(A.address), pdst=SWITCH))
    assert answer is not None
    assert (answer.dst, answer[ARP].op, answer[ARP].hwsrc, answer[ARP].psrc) == (A.mac, 2, MAC, SWITCH)
    assert (answer[ARP].hwdst, answer[ARP].pdst) == (A.mac, str(A.address))
    assert ask(Ether(src=A.mac, dst=BROADCAST) / ARP(hwsrc=A.mac, psrc=str(A.address), pdst=str(B.address))) is None


def test_echo() -> None:
    ping = Ether(src=A.mac, dst=MAC) / IP(src=str(A.address), dst=SWITCH) / ICMP(id=7, seq=9) / Raw(b"payload" * 99)
    answer = ask(ping)
    assert answer is not None
    assert (answer[ICMP].type, answer[ICMP].id, answer[ICMP].seq) == (0, 7, 9)
    assert answer[Raw].load == b"payload" * 99
    ping[ICMP].chksum = 1
    assert ask(ping) is None


def dns(name: str, kind: str = "A", opcode: int = 0) -> DNS:
    question = Ether(src=A.mac, dst=MAC) / IP(src=str(A.address), dst=SWITCH) / UDP(sport=4444, dport=53)
    answer = ask(question / DNS(id=77, rd=1, qd=DNSQR(qname=name, qtype=kind), opcode=opcode))
    assert answer is not None
    assert (answer[UDP].sport, answer[UDP].dport, answer[DNS].id, answer[DNS].qr) == (53, 4444, 77, 1)
    found: DNS = answer[DNS]
    return found


@pytest.mark.parametrize(
    ("name", "kind", "answer"),
    [
        ("a", "A", str(A.address)),
        ("A.SlotBoot.test", "A", str(A.address)),
        ("test-b-1.slotboot.test", "A", str(B.address)),
        ("switch", "A", SWITCH),
        ("10.0.77.10.in-addr.arpa", "PTR", b"a.slotboot.test."),
    ],
)
def test_names(name: str, kind: str, answer: object) -> None:
    if kind == "PTR":
        name = ".".join(reversed(str(A.address).split("."))) + ".in-addr.arpa"
    found = dns(name, kind)
    assert (found.rcode, found.ancount, found.an[0].rdata) == (0, 1, answer)
    assert found.qd[0].qname == name.encode() + b"."


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [("a", "AAAA", 0), ("a.slotboot.test", "MX", 0), ("slotboot.test", "A", 0), ("nobody", "A", 3), ("a.org", "A", 3)],
)
def test_there_is_no_such_name_or_only_no_such_record(name: str, kind: str, code: int) -> None:
    found = dns(name, kind)
    assert (found.rcode, found.ancount) == (code, 0)


def test_a_datagram_with_a_wrong_checksum_is_dropped() -> None:
    query = dhcp("discover")
    query[UDP].chksum = 1
    assert ask(query) is None
    query[UDP].chksum = 0  # none was made
    assert ask(query) is not None


def test_other_operations_are_not_there() -> None:
    assert dns("a", opcode=2).rcode == 4


@given(st.binary(max_size=400), st.sampled_from([b"\x08\x06", b"\x08\x00", b"\x86\xdd"]))
def test_whatever_comes_is_answered_or_not(data: bytes, kind: bytes) -> None:
    answer = STATION.answer(DIRECTORY.switch.mac_bytes + A.mac_bytes + kind + data)
    assert answer is None or answer


@given(st.binary(max_size=400), st.sampled_from([53, 67]), st.integers(0, 400))
def test_whatever_the_services_are_told(data: bytes, port: int, cut: int) -> None:
    head = Ether(src=A.mac, dst=MAC) / IP(src=str(A.address), dst=SWITCH) / UDP(sport=68, dport=port)
    whole = bytes(dhcp("discover"))[42:]
    for told in (data, whole[:cut] + data):
        answer = STATION.answer(bytes(head / Raw(told)))
        assert answer is None or answer
