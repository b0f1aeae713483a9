"""Tells whether a file or tree is the one of last time without reading what is in it.

As make and rsync do, and with the time of change (``st_ctime``) too, which no program can set: what was written to since is
never taken for what it was.
"""

from __future__ import annotations

import hashlib
import os
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SIZE = 32
_NUMBERS = Struct("<7Q3q")
_NUMBERS = Struct("<7Q3q")


def fingerprint_of_file(path: Path) -> str:
    """Changes whenever the file does: 32 hexadecimal digits. Raises OSError."""
    return hashlib.sha256(_line(b"", path.stat())).hexdigest()[:_SIZE]


def fingerprint_of_folder(root: Path) -> str:
    """Changes whenever anything in the tree does: 32 hexadecimal digits. Raises OSError."""
    digest = hashlib.sha256(_line(b"", os.lstat(root)))
    pending = [os.fsencode(root)]
    while pending:
        with os.scandir(pending.pop()) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            digest.update(_line(entry.path, entry.stat(follow_symlinks=False)))
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
    return digest.hexdigest()[:_SIZE]


def _line(path: bytes, status: os.stat_result) -> bytes:
    numbers = _NUMBERS.pack(
        *(status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_rdev),
        *(status.st_size, status.st_mtime_ns, status.st_ctime_ns),
    )
    return path + b"\0" + numbers
