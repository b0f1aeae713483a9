"""Text for people: labels are whatever stands on a disk."""

from __future__ import annotations

import click


def printable(text: str) -> str:
    """One line of a text: control characters and lone surrogates become U+FFFD."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def say(text: str, *, err: bool = False) -> None:
    """Print lines, each as ``printable``."""
    click.echo("\n".join(printable(line) for line in text.split("\n")), err=err)
