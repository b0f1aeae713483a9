"""Which versions of the programs made something."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from image_builder.run import Runner

    Ask = Callable[[str, list[str]], str]

_NOWHERE = "/nonexistent/slotboot"
_ASKED_OTHERWISE: dict[str, tuple[str, ...]] = {
    "mke2fs": ("-V",),
    "mkfs.erofs": (_NOWHERE, _NOWHERE),
    "mkfs.ext4": ("-V",),
    "mkfs.fat": (_NOWHERE,),
    "mksquashfs": ("-version",),
}
"""Programs without --version; some only say it when they begin a work, and are given one that fails."""
_VERSION = re.compile(r"\d+\.\d+")
_UNKNOWN = "unknown"
_DEADLINE = 10
"""Seconds for a program to say its version."""


def tool_versions(runner: Runner, names: Iterable[str], *, ask: Ask | None = None) -> dict[str, str]:
    """One line of each program, in which its version is, sorted by their names; ``unknown`` for one that does not say.

    ``ask`` runs the program at a path with an argv, and returns what it prints on either stream. Raises MissingToolError.
    """
    ask = _ask if ask is None else ask
    return {
        name: _version_line(ask(runner.tool(name), [name, *_ASKED_OTHERWISE.get(name, ("--version",))]))
        for name in sorted(set(names))
    }


def _version_line(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.splitlines())
    return next((line for line in lines if _VERSION.search(line)), _UNKNOWN)


def _ask(path: str, argv: list[str]) -> str:
    # Not by Runner.run: mke2fs answers on standard error, mkfs.fat with an exit code of 1.
    try:
        done = subprocess.run(
            argv,
            executable=path,  # and not the first word: some say how they were called
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            check=False,
            timeout=_DEADLINE,
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.decode(errors="replace")
