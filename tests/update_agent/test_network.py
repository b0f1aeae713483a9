"""The whole way of an update over networks that fail, and what docs/update-network.md says of it."""

from __future__ import annotations

import re
import socket
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.update_agent.payload.images import blocks_of_one_byte, header
from tests.update_agent.published import FULL, MIB, Release, disk_with, image, install, states
from tests.update_agent.repository.world import FLOOR, Fast, World, fetching
from tests.update_agent.server import Fault, Request, Server, failing, serving
from update_agent.config.settings import Settings
from update_agent.payload.errors import PayloadError
from update_agent.repository.open import open_repository
from update_agent.transport import errors
from update_agent.transport.source import read_exactly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from update_agent.repository.repository import Repository

ROOT = Path(__file__).parent.parent.parent
BLOB = image(3, 300_001)


@pytest.fixture
def server(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A repository with one release, on a server that can do all that a bad network does."""
    for name in ("http_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    (world.folder / "blobs" / world.publish("1.0").blob).write_bytes(BLOB)
    found = [path for path in world.folder.rglob("*") if path.is_file()]
    files = {f"/{path.relative_to(world.folder)}": path.read_bytes() for path in found}
    with serving(files) as started:
        yield started


@contextmanager
def opened(world: World, server: Server) -> Iterator[Repository]:
    settings = Settings(repository=server.url(""), minimum_rate_time=timedelta(seconds=0.2))
    clock = world.hand.clock()
    with open_repository(settings, world.bootstrap, world.place / "state", FLOOR, clock=clock, files=Fast()) as found:
        yield found


def update(repository: Repository) -> tuple[bytes, bytes]:
    """What a machine does before it installs: metadata, index and blob."""
    (release,) = repository.refresh().releases
    index, blob = repository.read(release.index), repository.open_blob(release.blob)
    data = memoryview(bytearray(blob.size()))
    with blob.open(0, len(data)) as reader:
        read_exactly(reader, data)
    return index, bytes(data)


ANYWHERE = [
    Fault("reset", at=5),
    Fault("cut", at=0),
    Fault("cut", at=5),
    Fault("hang_up"),
    Fault("stall", at=5),
    Fault("silence"),
    Fault("garbage"),
    Fault("endless_headers"),
    Fault("gzip"),
    Fault("chunked"),
    Fault("chunked_cut", at=5),
    Fault("status", status=429),
    Fault("status", status=503, headers={"Retry-After": "7"}),
    Fault("status", status=500),
]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ANYWHERE, ids=lambda fault: f"{fault.kind}{fault.status or fault.at or ''}")
def test_what_each_request_meets_once_stops_no_update(world: World, server: Server, fault: Fault) -> None:
    met: set[object] = set()

    def once(request: Request) -> Fault | None:
        key = request.target, request.range and request.range[1]  # going on is no new request
        # What is not there is a 404, which means something.
        if key in met or request.target not in server.files:
            return None
        met.add(key)
        return fault

    server.plan = once
    with opened(world, server) as repository:
        assert update(repository) == (b"index of 1.0", BLOB)
    assert len(met) >= 6


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_where_three_requests_of_ten_fail_an_update_comes(world: World, server: Server, seed: int) -> None:
    # Metadata that a broken proxy changed are refused, not asked for again: that is for the next check.
    plan = failing(seed, 0.3)
    server.plan = lambda request: plan(request) if request.target.startswith("/blobs/") else None
    with opened(world, server) as repository:
        assert update(repository) == (b"index of 1.0", BLOB)


def test_names_that_are_found_and_not_found_in_turn(
    world: World, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = socket.getaddrinfo, list[None]()

    def getaddrinfo(*arguments: Any, **words: Any) -> Any:  # noqa: ANN401
        asked.append(None)
        if len(asked) % 2:
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return real(*arguments, **words)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    server.plan = lambda request: (
        Fault("headers") if request.target in server.files else None
    )  # which closes the connection after each answer
    with opened(world, server) as repository:
        assert update(repository) == (b"index of 1.0", BLOB)
    assert len(asked) > 8


def test_an_update_that_is_pruned_meanwhile_is_missing_at_once(world: World, server: Server) -> None:
    with opened(world, server) as repository:
        (release,) = repository.refresh().releases
        blob = repository.open_blob(release.blob)
        data = memoryview(bytearray(len(BLOB)))
        with blob.open(0, 1000) as reader:
            read_exactly(reader, data)
        del server.files[f"/blobs/{release.blob}"]
        with pytest.raises(errors.MissingError), blob.open(1000, 1000) as reader:
            read_exactly(reader, data)
    assert world.hand.slept == []


HOSTILE = {
    "a window of 8 GiB": header(4 * MIB, (23, 0)) + blocks_of_one_byte(32),
    "a bomb of 1 GiB": header(1 << 30) + blocks_of_one_byte(8192),
    "a bomb that names a small size": header(4 * MIB, (9, 0)) + blocks_of_one_byte(8192),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_bomb_of_zstd_in_a_blob_fills_no_slot(disks: Path, what: str) -> None:
    release, path = Release.make(image(5, 4 * MIB)), disks / "disk.img"
    before, hostile = disk_with(path), HOSTILE[what]
    assert len(hostile) < len(release.blob)
    with serving({FULL: hostile + release.blob[len(hostile) :]}) as server, pytest.raises(PayloadError):
        install(release.offer(fetching().source(server.url(FULL))), path, disks / "journal")
    assert states(path) == [(1, 0, 1), (0, 0, 0)]
    assert path.stat().st_size == len(before)


def test_each_test_that_the_page_names_is_there() -> None:
    page = (ROOT / "docs" / "update-network.md").read_text()
    rows = [
        line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| ") and not line.startswith("| ---")
    ]
    named = [re.findall(r"`([a-z_/]+)::(test_[a-z0-9_]+)`", row[-1]) for row in rows if "who proves it" not in row[-1]]
    assert len(named) > 40
    assert all(named)
    for file, name in (pair for pairs in named for pair in pairs):
        text = (ROOT / "tests" / "update_agent" / f"{file}.py").read_text()
        assert f"\ndef {name}(" in text, f"{file}::{name}"
