"""sd_notify, on sockets of our own, and by the program of systemd that speaks it."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from update_agent.agent.notify import Notifier

if TYPE_CHECKING:
    from pathlib import Path


def listening(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(f"\0{address[1:]}" if address.startswith("@") else address)
    listener.settimeout(5)
    return listener


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_the_manager_hears_every_word(kind: str, tmp_path: Path) -> None:
    address = str(tmp_path / "notify") if kind == "path" else f"@slotboot-test-{os.getpid()}"
    with listening(address) as manager:
        notifier = Notifier.of({"NOTIFY_SOCKET": address})
        notifier.ready()
        notifier.status("downloading 1.1:\n40 %")
        notifier.watchdog()
        notifier.stopping()
        heard = [manager.recv(4096) for _ in range(4)]
    assert heard == [b"READY=1", b"STATUS=downloading 1.1: 40 %", b"WATCHDOG=1", b"STOPPING=1"]


@pytest.mark.parametrize(
    "address", ["", "@", "relative", "vsock:2:1234", "/nonexistent/notify", f"/{'x' * 200}", "/a\0b"]
)
def test_without_a_manager_nothing_happens(address: str) -> None:
    open_files = os.listdir("/proc/self/fd")  # noqa: PTH208
    Notifier(address).ready()
    assert len(os.listdir("/proc/self/fd")) == len(open_files)  # noqa: PTH208
