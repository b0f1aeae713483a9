"""The date that has certainly passed: that of the build, and where an image was built without one, that of this program."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import pytest

from tests.documentation import ROOT
from update_agent.agent.online import shelf_of
from update_agent.config.settings import Settings
from update_agent.repository.clock import RELEASED

if TYPE_CHECKING:
    from pathlib import Path


def test_the_date_of_the_program_is_that_of_its_release() -> None:
    entry = (ROOT / "debian/changelog").read_text().partition("\n -- ")[2].splitlines()[0]
    assert parsedate_to_datetime(entry.partition(">")[2].strip()) == RELEASED


@pytest.mark.parametrize(
    ("built", "floor"),
    [
        (datetime(2024, 1, 1, tzinfo=UTC), RELEASED),
        (datetime(2031, 5, 6, tzinfo=UTC), datetime(2031, 5, 6, tzinfo=UTC)),
    ],
)
def test_a_system_that_was_built_without_a_date_is_as_old_as_the_program(
    tmp_path: Path, built: datetime, floor: datetime
) -> None:
    root = tmp_path / "root.json"
    root.write_text("{}")
    os.utime(root, (built.timestamp(), built.timestamp()))
    settings = replace(Settings(), root=str(root), repository=str(tmp_path), state_folder=str(tmp_path))
    with shelf_of(settings, print) as repository:
        assert repository._floor == floor
