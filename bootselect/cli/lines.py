"""Texts from outside (labels, names of files) in lines for people."""

from __future__ import annotations


def one_line(text: str) -> str:
    """The text with what would break the line, or steer the terminal, as escapes: a label may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
