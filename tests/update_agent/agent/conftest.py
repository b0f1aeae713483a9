"""A repository and a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.update_agent.agent.fleet import Box, Repo
from tests.update_agent.repository.world import Hand

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def repo(tmp_path: Path, hand: Hand) -> Repo:
    return Repo(tmp_path, hand)


@pytest.fixture
def box(tmp_path: Path, repo: Repo, hand: Hand) -> Box:
    return Box(tmp_path, repo, hand)
