"""Inhibitors of logind: the real busctl asks a logind that a test stands in for."""

from __future__ import annotations

import asyncio
import shutil
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from dbus_fast import Message
from dbus_fast.aio import MessageBus

from tests.update_agent.agent.buses import CONFIG, PrivateBus
from update_agent.reboot.inhibitors import Inhibitor, find_inhibitors, parse_inhibitors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS = [
    ["shutdown:sleep", "backup", "a backup runs", "block", 0, 101],
    ["shutdown", "apt", "packages are installed", "delay", 0, 102],
    ["idle", "a player", "a film", "block", 1000, 103],
    ["handle-power-key:shutdown", "b\x1b[2J", "", "block-weak", 1000, 104],
]
BLOCKING = (Inhibitor("backup", "a backup runs"), Inhibitor("b\x1b[2J", ""))


def answer(message: Message) -> Message | bool:
    if message.member != "ListInhibitors":
        return False
    return Message.new_method_return(message, "a(ssssuu)", [ROWS])


@contextmanager
def logind(address: str) -> Iterator[None]:
    loop, ready = asyncio.new_event_loop(), threading.Event()
    kept: list[Any] = []

    async def serve() -> None:
        bus = await MessageBus(bus_address=address).connect()
        bus.add_message_handler(answer)
        await bus.request_name("org.freedesktop.login1")
        kept.append(bus)
        ready.set()
        await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]

    def run() -> None:
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(20)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(kept[0].disconnect)
        thread.join(20)


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    bus = PrivateBus(tmp_path)
    allowed = '<policy context="mandatory"><allow own="*"/><allow send_type="method_call"/></policy>'
    (tmp_path / "bus.conf").write_text(CONFIG.format(socket=bus.socket, policy=allowed))
    bus.start()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    try:
        yield bus.address
    finally:
        bus.end()


@pytest.mark.skipif(shutil.which("busctl") is None, reason="busctl (Debian: systemd) is not installed")
def test_those_that_block_a_shutdown_are_found_by_the_real_busctl(bus: str, tmp_path: Path) -> None:
    told: list[str] = []
    with logind(bus):
        assert find_inhibitors(told.append, tmp_path) == BLOCKING
    assert told == []
    assert [str(one) for one in BLOCKING] == ["backup (a backup runs)", "b\\x1b[2J"]


def test_a_logind_that_does_not_answer_holds_nobody_and_is_told(bus: str, tmp_path: Path) -> None:
    told: list[str] = []
    assert find_inhibitors(told.append, tmp_path) == ()
    assert len(told) == 1
    assert bus


def test_where_no_logind_has_run_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    told: list[str] = []
    assert find_inhibitors(told.append, tmp_path / "none") == ()
    assert told == []


@pytest.mark.parametrize(
    "text", ["", "{}", '{"data":[]}', '{"data":[[["a"]]]}', '{"data":3}', "[]", '{"data":[[1]]}', "null"]
)
def test_what_is_no_answer_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="no list of inhibitors"):
        parse_inhibitors(text)
