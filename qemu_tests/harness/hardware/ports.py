"""Which ports of the host lead into a guest, as QEMU's monitor shows it."""

from __future__ import annotations

import re

_FORWARD = re.compile(
    r"^\s+TCP\[HOST_FORWARD\]\s+\S+\s+(?P<host>\S+)\s+(?P<port>\d+)\s+\S+\s+(?P<guest>\d+)\s", re.MULTILINE
)


def forwarded_ports(shown: str) -> dict[int, int]:
    """Guest's TCP port -> port on the host, of the text of ``info usernet``."""
    return {int(match["guest"]): int(match["port"]) for match in _FORWARD.finditer(shown)}
