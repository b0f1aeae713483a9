"""Machines on a private network get their addresses, find each other by name, and can be cut off and joined again."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from image_builder.cache import cache_root
from qemu_tests.harness.accel import probe
from qemu_tests.harness.network.network import Network
from qemu_tests.harness.shared import shared_result
from qemu_tests.suites.busybox_guest import BusyboxGuest, GuestFiles, build_guest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.vm


@pytest.fixture(scope="session")
def files(slotboot_folder: Path) -> GuestFiles:
    def build() -> list[str]:
        made = build_guest(slotboot_folder, cache_root())
        return [str(made.kernel), str(made.initramfs)]

    kernel, initramfs = shared_result(slotboot_folder, "busybox-guest", build)
    return GuestFiles(slotboot_folder / kernel, slotboot_folder / initramfs)


def test_three_machines_find_each_other_and_one_is_cut_off_and_joined_again(
    files: GuestFiles, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    accelerator = probe()
    with Network(capture=tmp_path / "net.pcap") as network, ExitStack() as stack:
        a, b, c = (
            stack.enter_context(
                BusyboxGuest(name, files, network, accelerator, tmp_path / f"{name}.log", 60 * accelerator.slowdown)
            )
            for name in ("a", "b", "c")
        )
        for guest in (a, b, c):
            guest.ready()
            assert f"inet {guest.plug.address}/24 " in guest.run("ip addr show eth0")
            assert guest.run("cat /proc/sys/kernel/hostname").strip() == guest.name
        for guest, other in ((a, "b"), (b, "c.slotboot.test"), (c, "a"), (a, "switch")):
            said = guest.run(f"ping -c 5 -i 0.2 {other}")
            assert " 0% packet loss" in said
            record_property("counted", f"ping from {guest.name} to {other}: {said.strip().splitlines()[-1]}")
        assert "b.slotboot.test" in a.run(f"nslookup {b.plug.address}")
        a.run("nslookup nobody", expected=1)

        network.cut_off("b")
        a.run("ping -c 2 -W 1 b", expected=1)
        a.run("ping -c 1 -W 5 c")
        assert (
            a.run("cat /sys/class/net/eth0/carrier").strip() == b.run("cat /sys/class/net/eth0/carrier").strip() == "1"
        )
        assert network.frames["b"].cut
        network.join("b")
        a.run("ping -c 1 -W 5 b")

        network.partition({"a", "b"}, {"c"})
        a.run("ping -c 1 -W 5 b")
        a.run(f"ping -c 2 -W 1 {c.plug.address}", expected=1)
        network.heal()
        a.run("ping -c 1 -W 5 c")

        network.delay(0.2)
        said = a.run("ping -c 2 -W 5 b")
        assert all(float(taken) >= 400 for taken in re.findall(r"time=([\d.]+)", said))
        network.heal()

        address = b.plug.address
        b.power_cut()
        b = stack.enter_context(
            BusyboxGuest("b", files, network, accelerator, tmp_path / "b2.log", 60 * accelerator.slowdown)
        )
        assert b.plug.address == address
        b.ready()
        a.run("ping -c 1 -W 5 b")
        assert network.problem is None
    assert (tmp_path / "net.pcap").stat().st_size > 1000
