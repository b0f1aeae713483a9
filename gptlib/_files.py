"""The calls on paths that gptlib makes, by names of its own.

pathlib, which would be the ordinary choice, takes 10 ms to import: more than reading, checking and writing a table.
"""

from __future__ import annotations

import os

base_name, exists, is_link, parent, real_path = (
    os.path.basename,
    os.path.exists,
    os.path.islink,
    os.path.dirname,
    os.path.realpath,
)
names_in, remove, status = os.listdir, os.unlink, os.stat
open_file = open


def read_text(path: str) -> str:
    """The whole text of a file of the kernel's. Raises OSError."""
    with open_file(path, encoding="ascii") as file:
        return file.read()


def read_bytes(path: str, limit: int = -1) -> bytes:
    """The first ``limit`` bytes of a file, or all. Raises OSError."""
    with open_file(path, "rb") as file:
        return file.read(limit)
