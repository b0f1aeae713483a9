"""Whether programs are gone."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path


def processes_with(word: str) -> list[int]:
    """All processes that have this word among their arguments; not those whose end nobody has taken notice of yet."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if word.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def assert_gone(word: str) -> None:
    """No process has this word among its arguments; one that was killed has a moment to die in."""
    deadline = time.monotonic() + 5
    while (found := processes_with(word)) and time.monotonic() < deadline:
        pass
    assert found == []
