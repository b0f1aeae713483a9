"""Fixtures of the tests of the installer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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
