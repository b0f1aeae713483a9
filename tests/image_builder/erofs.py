"""Reading erofs file systems with their makers' tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path


def extract(image: Path, folder: Path) -> Path:
    """The files of an erofs, owned by whoever runs the tests."""
    run_tool("fsck.erofs", f"--extract={folder}", "--preserve-perms", "--no-preserve-owner", image)
    return folder
