"""Programs that want the machine to stay up: inhibitors of logind of the kind shutdown that block."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gptlib.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

_LOGIND = Path("/run/systemd/inhibit")
_CALL = (
    *(
        "busctl",
        "--system",
        "--json=short",
        "--timeout=10",
        "call",
        "org.freedesktop.login1",
        "/org/freedesktop/login1",
    ),
    *("org.freedesktop.login1.Manager", "ListInhibitors"),
)
_WHAT = "shutdown"
_BLOCKING = ("block", "block-weak")
"""``delay`` only asks for some seconds, which logind gives."""
_DEADLINE = 20.0


@dataclass(frozen=True)
class Inhibitor:
    """Who holds the machine, and why, in their words."""

    who: str
    why: str

    def __str__(self) -> str:
        return printable(f"{self.who} ({self.why})" if self.why else self.who)


def find_inhibitors(tell: Callable[[str], None], folder: Path = _LOGIND) -> tuple[Inhibitor, ...]:
    """Those that are there now; none where there is no logind. Where it does not answer, that is told: it holds nobody."""
    if not folder.is_dir():
        return ()
    try:
        done = subprocess.run(_CALL, check=False, capture_output=True, text=True, timeout=_DEADLINE)
        if done.returncode:
            raise ValueError(done.stderr.strip() or f"exit code {done.returncode}")
        return parse_inhibitors(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        tell(f"logind does not say who wants the machine to stay up: {error}")
        return ()


def parse_inhibitors(text: str) -> tuple[Inhibitor, ...]:
    """Those that block a shutdown, of what busctl prints: what, who, why, mode, user, process. Raises ValueError."""
    try:
        (rows,) = json.loads(text)["data"]
        found = [(str(what), str(who), str(why), str(mode)) for what, who, why, mode, *_ in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{text[:80]!r} is no list of inhibitors") from error
    return tuple(
        Inhibitor(who, why) for what, who, why, mode in found if _WHAT in what.split(":") and mode in _BLOCKING
    )
