"""Who is logged in at a terminal: the sessions of logind, and the records of utmp(5).

Both: logind knows only those who came by PAM's module for it, which small systems have not, and not everything writes to utmp.
"""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

SESSIONS, UTMP = Path("/run/systemd/sessions"), Path("/run/utmp")
_RECORD = struct.Struct("<hxxi32s4s32s256shhiii4i20s")
"""Type, process, terminal, id, user, host, and more: struct utmp of glibc, which is the same on all machines of 64 bits."""
_USER_PROCESS = 7
_NAME = re.compile(r"[A-Za-z0-9_:-]+(/[0-9]+)?")
_LARGEST = 1 << 20


def terminals(sessions: Path = SESSIONS, utmp: Path = UTMP) -> tuple[str, ...]:
    """Names below /dev, each once, sorted; none where nobody is logged in, or that cannot be read."""
    names = (_of_logind(sessions) if sessions.is_dir() else []) + _of_utmp(utmp)
    return tuple(sorted({name for name in names if _NAME.fullmatch(name)}))


def _of_logind(folder: Path) -> list[str]:
    """The files that libsystemd reads, too. A session over ssh has its terminal there, one of a desktop has none."""
    names = []
    for path in sorted(folder.iterdir()):
        # Named pipes with the same names and an ending stand beside the files.
        if path.is_file():
            fields = dict(line.split("=", 1) for line in _text(path).splitlines() if "=" in line)
            if fields.get("CLASS", "user").startswith("user") and fields.get("STATE") != "closing":
                names.append(fields.get("TTY", ""))
    return names


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _of_utmp(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST)
    except OSError:
        return []
    whole = len(data) - len(data) % _RECORD.size
    rows = [row[:3] for row in _RECORD.iter_unpack(data[:whole])]
    return [_word(line) for kind, process, line in rows if kind == _USER_PROCESS and _lives(process)]


def _word(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("ascii", "replace")


def _lives(process: int) -> bool:
    """Records of those who are gone may stay."""
    if process <= 0:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
