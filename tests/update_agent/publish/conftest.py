"""Fixtures of the tests of ``updatectl publish``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.publish.place import Place
from tests.update_agent.repository.serving import Server
from tests.update_agent.repository.world import Hand

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def place(disks: Path) -> Place:
    return Place(disks)


@pytest.fixture
def served(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Server(place.folder) as server:
        yield server


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    """The clock of whoever publishes."""
    hand = Hand(date=datetime.now(UTC))
    monkeypatch.setattr("update_agent.publish.publisher.Clock", hand.clock)
    monkeypatch.setattr("update_agent.publish.prune.Clock", hand.clock)
    return hand
