"""``gptctl next`` and ``bootselect next --policy cgpt-next`` are one policy: same slot, same table afterwards."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from bootselect.cli.main import main
from tests.support import SlotImage, run_tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import PTS


@pytest.mark.slow
@pytest.mark.parametrize(
    "states",
    [
        [(1, 0, 1), (2, 3, 0)],
        [(1, 1, 0), (1, 1, 0)],  # a tie
        [(0, 2, 0), (0, 0, 0)],  # priority 0
        [(3, 5, 1), (2, 0, 1)],  # tries with successful=1
        [(2, 0, 0), (1, 0, 0)],  # nothing eligible
        [(1, 0, 1), (2, 0, 0), (3, 1, 0)],
    ],
)
def test_both_choose_the_same_slot_and_count_the_same_try(
    slot_image: Callable[..., SlotImage], states: list[PTS]
) -> None:
    ours = slot_image(*states)
    theirs = SlotImage(ours.path.with_name("copy.img"))
    shutil.copy(ours.path, theirs.path)
    for _ in range(4):
        chosen = CliRunner().invoke(main, ["next", str(ours.path), "--policy", "cgpt-next"]).output
        assert (
            chosen.strip().lower()
            == run_tool(sys.executable, "-m", "gptlib.cli.main", "next", theirs.path).strip().lower()
        )
        assert ours.attributes() == theirs.attributes()
