"""The other side of the interface: what goes wrong is told by its name."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.agent.buses import PrivateBus, private_bus
from tests.update_agent.state.machines import machine_in
from update_agent.agent.bus import Bus
from update_agent.agent.bus_client import BusClient, CallError, NoBusError, NoServiceError
from update_agent.agent.view import view_of
from update_agent.errors import UpdateError
from update_agent.state.transitions import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def bus() -> Iterator[PrivateBus]:
    with private_bus() as bus:
        yield bus


def test_nobody_has_the_name(bus: PrivateBus) -> None:
    client = BusClient(bus.address)
    for call in (client.require_service, client.get_status):
        with pytest.raises(NoServiceError) as raised:
            call()
        # As dbus-glib says it.
        assert str(raised.value) == "Could not get owner of name 'com.coreos.update1': no such name"
        assert raised.value.name == "org.freedesktop.DBus.Error.NameHasNoOwner"


def test_the_bus_is_not_there(bus: PrivateBus) -> None:
    bus.end()
    with pytest.raises(NoBusError):
        BusClient(bus.address).get_status()


def test_a_bus_that_never_answers_is_given_up(tmp_path: Path) -> None:
    path = str(tmp_path / "bus")
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(path)
        mute.listen()
        with pytest.raises(NoBusError):
            BusClient(f"unix:path={path}", deadline=0.2).get_status()


def test_the_service_refuses_or_hangs(bus: PrivateBus) -> None:
    released = threading.Event()

    def refuse() -> None:
        raise UpdateError("not now")

    view = view_of(machine_in(State.IDLE), "1.0")
    service = Bus(released.wait, refuse, lambda: view, print, address=bus.address)  # type: ignore[arg-type]
    assert service.start()
    with pytest.raises(CallError) as raised:
        BusClient(bus.address).reset_status()
    assert (raised.value.name, str(raised.value)) == ("org.freedesktop.DBus.Error.Failed", "not now")
    with pytest.raises(CallError) as raised:
        BusClient(bus.address, deadline=0.5).attempt_update()
    assert raised.value.name == "org.freedesktop.DBus.Error.NoReply"
    released.set()
    service.stop()
