"""Fixtures of all quick tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import COREOS_USR, SlotImage, run_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import PTS


@pytest.fixture
def slot_image(tmp_path: Path) -> Callable[..., SlotImage]:
    """Make an image with slots of the given priority/tries/successful, labelled USR-A, USR-B, ..."""

    def make(*slots: PTS, name: str = "disk.img") -> SlotImage:
        path = tmp_path / name
        with path.open("wb") as file:
            file.truncate((2 + len(slots) + 1) << 20)
        run_tool("cgpt", "create", path)
        run_tool("cgpt", "boot", "-p", path)
        for place, (priority, tries, successful) in enumerate(slots):
            where = ["-i", str(3 + place), "-b", str(2048 * (1 + place)), "-s", "2048", "-t", COREOS_USR]
            bits = [
                "-l",
                f"USR-{'ABCDEFGHIJKLMNOP'[place]}",
                "-P",
                str(priority),
                "-T",
                str(tries),
                "-S",
                str(successful),
            ]
            run_tool("cgpt", "add", *where, *bits, path)
        return SlotImage(path)

    return make
