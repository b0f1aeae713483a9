"""Announcements of the kernel: other devices are no news, lost ones are."""

from __future__ import annotations

import errno
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bootselect.initramfs.uevents import Uevents, open_listener

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = b"add@/devices/x/block/sda\0ACTION=add\0DEVPATH=/devices/x/block/sda\0SUBSYSTEM=block\0MAJOR=8\0"
USB = b"add@/devices/x/usb1\0ACTION=add\0DEVPATH=/devices/x/usb1\0SUBSYSTEM=usb\0"
_TRIGGER = Path("/sys/class/block/loop0/uevent")


class Socket:
    """Messages and errors in their order; then nothing more comes. A wait takes the time that it is given."""

    def __init__(self, *comes: bytes | OSError) -> None:
        self.comes, self.now, self.limit, self.closed = list(comes), 0.0, 0.0, False

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def settimeout(self, seconds: float) -> None:
        self.limit = seconds

    def recv(self, size: int, flags: int = 0) -> bytes:
        assert not self.closed
        if not self.comes:
            if flags & socket.MSG_DONTWAIT:
                raise BlockingIOError
            self.now += self.limit
            raise TimeoutError
        came = self.comes.pop(0)
        if isinstance(came, OSError):
            raise came
        return came[:size]

    def close(self) -> None:
        self.closed = True

    def uevents(self) -> Uevents:
        return Uevents(lambda: self, clock=self.clock, pause=self.pause)


def lost() -> OSError:
    return OSError(errno.ENOBUFS, "No buffer space available")


def test_a_block_device_is_news_and_all_that_came_with_it_is_one_piece_of_it() -> None:
    given = Socket(USB, BLOCK, USB, BLOCK, lost(), BLOCK)
    events = given.uevents()
    assert events.wait(5)
    assert given.comes == []
    assert not events.wait(5)
    assert given.now == 5


def test_other_devices_are_none_and_do_not_lengthen_the_wait() -> None:
    given = Socket(*[USB] * 300)
    assert not given.uevents().wait(5)
    assert given.now == 5


def test_lost_announcements_are_news() -> None:
    given = Socket(lost(), *[USB] * 300)
    assert given.uevents().wait(5)
    assert given.comes == []


@pytest.mark.parametrize("error", [OSError(errno.ENOMEM, "no memory"), OSError(errno.ENETDOWN, "down")])
def test_a_socket_that_fails_is_given_up_and_the_time_is_waited_all_the_same(error: OSError) -> None:
    given = Socket(error)
    events = given.uevents()
    assert not events.wait(5)
    assert (given.now, given.closed) == (5, True)
    assert not events.wait(1)
    events.close()


def test_a_kernel_without_announcements_only_takes_the_time() -> None:
    given = Socket()

    def refuse() -> Socket:
        raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    assert not Uevents(refuse, clock=given.clock, pause=given.pause).wait(3)
    assert given.now == 3


@pytest.fixture
def announce() -> Callable[[int], None]:
    """Let the kernel announce a block device that is there already."""
    if not os.access(_TRIGGER, os.W_OK) or os.geteuid():
        pytest.skip("needs root and /sys")

    def trigger(times: int) -> None:
        for _ in range(times):
            _TRIGGER.write_text("change")

    return trigger


@pytest.mark.slow
def test_the_real_kernel_is_heard(announce: Callable[[int], None]) -> None:
    events = Uevents()
    announce(3)
    assert events.wait(5)
    events.close()


@pytest.mark.slow
def test_the_real_kernel_drops_announcements_and_the_disks_are_looked_at_again(
    announce: Callable[[int], None],
) -> None:
    def small() -> socket.socket:
        listener = open_listener()
        assert isinstance(listener, socket.SocketType)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        return listener  # type: ignore[return-value]

    events = Uevents(small)
    announce(300)
    assert events.wait(5)
    events.close()


def test_the_buffer_holds_a_slow_scan_of_a_large_machine(announce: Callable[[int], None]) -> None:
    listener = open_listener()
    announce(3000)
    listener.settimeout(1.0)
    heard = 0
    try:
        while listener.recv(8192):
            heard += 1
            if heard == 3000:
                break
    finally:
        listener.close()
    assert heard == 3000


def test_waiting_ends(announce: Callable[[int], None]) -> None:
    announce(0)
    events = Uevents()
    begin = time.monotonic()
    events.wait(0.05)
    events.close()
    assert time.monotonic() - begin < 5
