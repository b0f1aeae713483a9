"""Fixtures of the tests of the installer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.repository.serving import Server
from tests.update_agent.repository.world import OPEN, World
from tests.update_agent.updates import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def update(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with an update of this content."""

    def make(content: bytes, name: str = "update", **changes: object) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "slot.img").write_bytes(content)
        describe(folder, content, **changes)
        return folder

    return make


@pytest.fixture
def disks() -> Iterator[Path]:
    """A directory in memory where there is one: what is flushed there does not wait for the disk of the machine."""
    memory = Path("/dev", "shm")
    with tempfile.TemporaryDirectory(prefix="slotboot-test-", dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """A connection that nobody owns any more would be an error."""
    yield
    while OPEN:
        OPEN.pop().close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A signed repository, and who publishes it."""
    return World(tmp_path)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A web server of that repository, without proxies before it."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Server(tmp_path / "repository") as server:
        yield server
