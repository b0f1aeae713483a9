"""The repository that the settings name: over a network, and in a folder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.repository.world import FLOOR, Fast
from update_agent.config.settings import Settings
from update_agent.repository.errors import NotConfiguredError
from update_agent.repository.open import open_repository
from update_agent.transport.errors import DeadlineError, FileSourceError, LostError, TooSlowError
from update_agent.transport.network import Network
from update_agent.transport.pace import Limits
from update_agent.transport.source import read_exactly

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tests.update_agent.repository.serving import Handler, Server
    from tests.update_agent.repository.world import World
    from update_agent.repository.repository import Repository
    from update_agent.transport.source import Source


def opened(world: World, settings: Settings, said: list[str] | None = None) -> AbstractContextManager[Repository]:
    tell = (lambda _: None) if said is None else said.append
    state = world.place / "state"
    return open_repository(
        settings, world.bootstrap, state, FLOOR, clock=world.hand.clock(), files=Fast(), wait=1, tell=tell
    )


def whole(source: Source) -> bytes:
    data = memoryview(bytearray(source.size()))
    with source.open(0, len(data)) as reader:
        assert read_exactly(reader, data) == len(data)
    return bytes(data)


@pytest.mark.parametrize("where", ["server", "server/", "path", "file"])
def test_it_is_the_same_wherever_it_is(world: World, server: Server, where: str) -> None:
    released = world.publish("1.0")
    folder = world.place / "a disk #1"
    shutil.copytree(world.folder, folder)
    places = {"server": server.url, "server/": f"{server.url}/", "path": str(folder), "file": folder.as_uri()}
    with opened(world, Settings(repository=places[where])) as repository:
        assert repository.refresh().releases == (released,)
        assert repository.read(released.index) == b"index of 1.0"
        assert whole(repository.open_blob(released.blob)) == b"frames of 1.0"
    # One connection for all of it, the answer that there is no newer root included.
    assert len({request.client_address for request in server.requests}) == (1 if "server" in where else 0)


def test_no_repository_is_said_before_anything_is_done(world: World) -> None:
    with pytest.raises(NotConfiguredError, match=r"update\.repository"), opened(world, Settings()):
        pass
    assert not (world.place / "state").exists()


def test_a_folder_that_is_gone_is_named(world: World) -> None:
    with opened(world, Settings(repository=str(world.place / "gone"))) as repository:
        with pytest.raises(Exception, match=r"gone/metadata/timestamp\.json: No such file"):
            repository.refresh()
        with pytest.raises(FileSourceError):
            repository.open_blob("x.frames").size()
        with pytest.raises(FileSourceError, match="outside"):
            repository.open_blob("../../secret")


def test_everything_that_can_be_set_is_what_is_done() -> None:
    settings = Settings(
        proxy="http://proxy:3128",
        ca_file="/etc/authorities.pem",
        rate_limit=5000,
        minimum_rate=77,
        minimum_rate_time=timedelta(seconds=9),
        connect_deadline=timedelta(seconds=8),
        metadata_deadline=timedelta(minutes=2),
        payload_deadline=timedelta(hours=3),
        retries=4,
    )
    found = Network.of(settings, floor=FLOOR)
    assert (found.proxy, found.ca_file, found.rate) == ("http://proxy:3128", "/etc/authorities.pem", 5000)
    assert (found.limits, found.patience.failures) == (Limits(8, 77, 9), 5)
    assert (found.metadata, found.payload, found.floor) == (120, 10800, FLOOR)


def test_the_lowest_rate_limit_that_can_be_set_is_one(world: World, server: Server) -> None:
    lowest = Settings(repository=server.url, rate_limit=4000)
    with opened(world, lowest) as repository:
        repository.refresh()
    assert sum(world.hand.slept) > 0


def hang_up(handler: Handler) -> None:
    handler.close_connection = True


def test_retries_are_as_many_as_were_set_and_are_told(world: World, server: Server) -> None:
    server.always = hang_up
    said: list[str] = []
    with opened(world, Settings(repository=server.url, retries=3), said) as repository, pytest.raises(LostError):
        repository.refresh()
    assert (len(server.requests), len(said)) == (4, 3)
    assert "trying again in" in said[0]


def test_a_blob_has_a_deadline_of_its_own_that_begins_with_it(world: World, server: Server) -> None:
    released = world.publish("1.0")
    settings = Settings(repository=server.url, payload_deadline=timedelta(seconds=100), retries=1000)
    with opened(world, settings) as repository:
        repository.refresh()
        # Longer than all metadata may take.
        world.hand.seconds += 5000
        blob = repository.open_blob(released.blob)
        world.hand.seconds += 90
        assert whole(blob) == b"frames of 1.0"
        server.always = hang_up
        before = world.hand.seconds
        with pytest.raises(DeadlineError, match="within 100 seconds"):
            whole(repository.open_blob(released.blob))
        assert world.hand.seconds - before < 100
        # An index has the time that metadata have, whenever it is read.
        server.always = None
        assert repository.read(released.index) == b"index of 1.0"


def test_who_is_slower_than_was_set_is_left(world: World, server: Server) -> None:
    released = world.publish("1.0")
    slow = replace(Settings(repository=server.url, retries=0), minimum_rate_time=timedelta(seconds=0.1))

    def stall(handler: Handler) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", "bytes 0-0/13")
        handler.end_headers()
        handler.connection.settimeout(30)
        handler.rfile.read(1)  # until the client leaves

    server.answers[released.blob] = stall
    with opened(world, slow) as repository:
        repository.refresh()
        with pytest.raises(TooSlowError):
            repository.open_blob(released.blob).size()
