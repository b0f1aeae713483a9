"""The switch, by hand-made frames on the sockets that QEMU would have."""

from __future__ import annotations

import gc
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scapy.utils import rdpcap

from qemu_tests.errors import NetworkError
from qemu_tests.harness.network.network import Network, Plug
from qemu_tests.harness.network.port import QUEUE_BYTES
from qemu_tests.harness.network.switch import UNDERWAY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALL = b"\xff" * 6
SECONDS = 10.0


class Cable:
    """QEMU's end."""

    def __init__(self, network: Network, name: str) -> None:
        self.plug = network.plug(name)
        self.mac = bytes.fromhex(self.plug.mac.replace(":", ""))
        self.sock = socket.socket(fileno=os.dup(self.plug.fd))
        self.sock.settimeout(SECONDS)
        self.plug.close_fd()

    def send(self, target: bytes, text: bytes = b"") -> None:
        frame = target + self.mac + b"\x88\xb5" + text
        self.sock.sendall(struct.pack(">L", len(frame)) + frame)

    def receive(self) -> bytes:
        """The payload of the next frame."""
        (length,) = struct.unpack(">L", self._exactly(4))
        return self._exactly(length)[14:]

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            got = self.sock.recv(length - len(data))
            if not got:
                raise EOFError
            data += got
        return data


Plugged = dict[str, Cable]


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    with Network(capture=tmp_path / "net.pcap") as made:
        yield made


@pytest.fixture
def cables(network: Network) -> Iterator[Plugged]:
    made = {name: Cable(network, name) for name in "abc"}
    yield made
    for cable in made.values():
        cable.sock.close()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        select.select([], [], [], 0.005)


def test_a_switch_floods_learns_and_sends_to_one_only(network: Network, cables: Plugged) -> None:
    a, b, c = cables.values()
    a.send(b.mac, b"unknown")
    assert b.receive() == c.receive() == b"unknown"
    b.send(a.mac, b"back")
    assert a.receive() == b"back"
    a.send(b.mac, b"learned")
    a.send(ALL, b"to all")
    assert (b.receive(), b.receive(), c.receive()) == (b"learned", b"to all", b"to all")
    until(lambda: (network.frames["a"].received, network.frames["c"].delivered) == (3, 2))


def test_addresses_are_the_same_in_every_run_and_after_a_power_cycle(network: Network) -> None:
    with Network() as other:
        plugs = [network.plug("a"), network.plug("b"), other.plug("a")]
        assert (plugs[0].mac, plugs[0].address) == (plugs[2].mac, plugs[2].address) == (plugs[0].mac, "10.77.0.10")
        assert plugs[1].mac != plugs[0].mac
        assert int(plugs[0].mac[:2], 16) & 3 == 2  # locally administered, unicast
        before = plugs[0].mac, plugs[0].address
        for plug in plugs:
            plug.unplug()
            plug.unplug()
        again = network.plug("a")
        assert (again.mac, again.address) == before
        again.unplug()
        with Network("another") as another:
            assert another.reserve("a").mac != before[0]


def test_what_cannot_be_plugged_in(network: Network, cables: Plugged) -> None:
    assert cables
    with pytest.raises(NetworkError, match="'a' is plugged in already; unplug it first"):
        network.plug("a")
    with pytest.raises(NetworkError, match="its host name would be 'b', as that of 'b' is"):
        network.plug("B")
    with pytest.raises(NetworkError, match="no host name can be made"):
        network.reserve("___")
    with Network(subnet="10.0.0.0/30") as small:
        assert str(small.reserve("one").address) == "10.0.0.2"
        with pytest.raises(NetworkError, match=r"no address is left in 10\.0\.0\.0/30"):
            small.reserve("two")
    for wrong in ("10.77.0.1/24", "10.0.0.0/31", "net"):
        with pytest.raises(NetworkError, match=r"expected"):
            Network(subnet=wrong)


def test_qemu_that_ends_has_pulled_its_cable_out(network: Network, cables: Plugged) -> None:
    cables["a"].sock.close()

    plugs: list[Plug] = []

    def plugged() -> bool:
        try:
            plugs.append(network.plug("a"))
        except NetworkError:
            return False
        return True

    until(plugged)
    plugs[0].unplug()
    assert network.problem is None


def test_who_is_cut_off_hears_and_says_nothing(network: Network, cables: Plugged) -> None:
    a, b, c = cables.values()
    network.cut_off("b")
    a.send(ALL, b"1")
    b.send(ALL, b"2")
    assert c.receive() == b"1"
    until(lambda: network.frames["b"].received == 1 and network.frames["c"].cut == 1)
    network.join("b")
    a.send(ALL, b"3")
    assert b.receive() == c.receive() == b"3"
    assert network.frames["b"].cut == 2  # a's, and its own to the services of the switch
    with pytest.raises(NetworkError, match="no machine 'd'; there are: a, b, c"):
        network.cut_off("d")


def test_a_partition(network: Network, cables: Plugged) -> None:
    a, b, c = cables.values()
    network.partition({"a", "b"}, {"c"})
    a.send(ALL, b"1")
    assert b.receive() == b"1"
    network.partition({"a", "b"}, {"b", "c"})  # b is between them
    b.send(ALL, b"2")
    assert a.receive() == c.receive() == b"2"
    network.heal()
    a.send(ALL, b"3")
    assert (b.receive(), c.receive()) == (b"3", b"3")
    until(lambda: network.frames["c"].cut == 1)


def test_a_delay_keeps_the_order_and_ends_at_once(network: Network, cables: Plugged) -> None:
    a, b, _ = cables.values()
    network.delay(0.1)
    begin = time.monotonic()
    for text in (b"1", b"2"):
        a.send(ALL, text)
    assert (b.receive(), b.receive()) == (b"1", b"2")
    assert 0.1 <= time.monotonic() - begin < SECONDS
    network.delay(3600)
    a.send(ALL, b"3")
    until(lambda: network.frames["a"].received == 3)
    network.cut_off("c")
    network.delay(0)
    assert b.receive() == b"3"
    until(lambda: network.frames["c"].cut == 1)  # cut while it was underway


def test_what_a_delay_holds_back_is_bounded(network: Network, cables: Plugged) -> None:
    network.delay(3600)
    for _ in range(100):
        cables["a"].send(cables["b"].mac, bytes(60000))
    until(lambda: network.frames["a"].received == 100)
    assert network.frames["b"].overflowed + network.frames["c"].overflowed >= 60
    assert network._switch._underway_bytes <= UNDERWAY_BYTES


def test_a_guest_that_makes_up_addresses_does_not_fill_the_memory(network: Network, cables: Plugged) -> None:
    for number in range(5000):
        frame = cables["a"].mac + b"\x02\0" + struct.pack(">L", number) + b"\x88\xb5"
        cables["a"].sock.sendall(struct.pack(">L", len(frame)) + frame)
    until(lambda: network.frames["a"].received == 5000)
    assert len(network._switch._learned) == 4096


def test_where_a_machine_was_is_forgotten_when_it_is_unplugged(network: Network, cables: Plugged) -> None:
    a, b, c = cables.values()
    b.send(ALL, b"here")
    assert a.receive() == c.receive() == b"here"
    b.plug.unplug()
    a.send(b.mac, b"where")
    assert c.receive() == b"where"
    assert network.frames["b"].delivered == 0


def test_losses_repeat(network: Network, cables: Plugged) -> None:
    a, b, _ = cables.values()

    def heard(seed: int) -> list[bytes]:
        network.loss(0.5, seed)
        before = network.frames["a"].received
        for number in range(100):
            a.send(ALL, str(number).encode())
        until(lambda: network.frames["a"].received == before + 100)
        network.loss(0)
        a.send(ALL, b"end")
        texts = []
        while (text := b.receive()) != b"end":
            texts.append(text)
        return texts

    first = heard(1)
    assert 30 < len(first) < 70
    assert heard(1) == first != heard(2)


def test_who_does_not_read_holds_nobody_up_and_its_queue_is_bounded(network: Network, cables: Plugged) -> None:
    a, b, _c = cables.values()
    payload = bytes(60000)
    for number in range(60):
        a.send(ALL, payload)
        assert len(b.receive()) == len(payload), number
    until(lambda: network.frames["c"].delivered + network.frames["c"].overflowed == 60)
    frames = network.frames["c"]
    assert frames.overflowed > 0
    assert frames.delivered * len(payload) < QUEUE_BYTES + (1 << 20)
    assert network.frames["b"].overflowed == 0


@pytest.mark.parametrize("length", [0, 13, 65551, 0xFFFFFFFF])
def test_a_length_that_no_frame_has_shuts_the_port_and_only_that(
    network: Network, cables: Plugged, length: int
) -> None:
    a, b, c = cables.values()
    a.send(ALL, b"good")
    a.sock.sendall(struct.pack(">L", length))
    with pytest.raises(EOFError):
        a.receive()
    assert str(network.problem) == (
        f"network net: machine 'a' sent a frame of {length} bytes; expected 14 to 65550; its port is shut"
    )
    assert b.receive() == b"good"
    b.send(ALL, b"goes on")
    assert (c.receive(), c.receive()) == (b"good", b"goes on")


def test_frames_in_pieces(cables: Plugged) -> None:
    a, b, _ = cables.values()
    stream = b"".join(struct.pack(">L", 15) + ALL + a.mac + b"\x88\xb5" + bytes([65 + number]) for number in range(3))
    for byte in stream:
        a.sock.sendall(bytes([byte]))
    assert b.receive() + b.receive() + b.receive() == b"ABC"


def test_another_reader_reads_the_capture(network: Network, cables: Plugged, tmp_path: Path) -> None:
    cables["a"].send(ALL, b"hello")
    cables["b"].receive()
    until(lambda: (tmp_path / "net.pcap").stat().st_size > 24)
    (packet,) = rdpcap(str(tmp_path / "net.pcap"))
    assert bytes(packet) == ALL + cables["a"].mac + b"\x88\xb5hello"
    assert abs(time.time() - float(packet.time)) < 60
    assert network.problem is None


def test_a_full_disk_ends_the_capture_and_not_the_network() -> None:
    with Network(subnet="10.0.0.0/24") as network:
        switch = network._switch

        class Full:
            path = Path("full.pcap")

            def write(self, _: bytes) -> None:
                raise OSError(28, "No space left on device")

            def close(self) -> None:
                """Never reached: it was given up."""

        switch._capture = Full()  # type: ignore[assignment]
        a, b = Cable(network, "a"), Cable(network, "b")
        a.send(ALL, b"still")
        assert b.receive() == b"still"
        assert "cannot write full.pcap: No space left on device" in str(network.problem)
        a.sock.close()
        b.sock.close()


def test_the_thread_ends_with_the_last_reference_and_a_closed_network_says_so() -> None:
    network = Network("gone")
    network.close()
    network.close()
    with pytest.raises(NetworkError, match="gone: it is closed"):
        network.plug("a")
    Network("forgotten")
    gc.collect()
    until(lambda: not any(thread.name == "switch of forgotten" for thread in threading.enumerate()))


def test_it_dies_with_its_process() -> None:
    program = (
        "from qemu_tests.harness.network.network import Network; n = Network(); n.plug('a').close_fd(); print('end')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
