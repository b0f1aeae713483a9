"""Small files, read without more than the boot path has loaded anyway."""

from __future__ import annotations


def read_text(path: str) -> str:
    """The content of a text file; empty where there is none or it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
