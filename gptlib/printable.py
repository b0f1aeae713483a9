"""Text that comes from a disk, as it may be shown to a person.

A label, a file name or a field of an os-release may hold anything: sequences that move the cursor, line ends that fake a line of
ours, marks that turn the order of the letters round, halves of surrogate pairs that no encoding can express.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def printable(text: str) -> str:
    r"""The text on one line, with everything that does not show as itself escaped as Python writes it (``\n``, ``\x1b``, ``\u2028``).

    That is what ``str.isprintable`` calls not printable: control characters (C0, DEL, C1), surrogates, separators other than
    the space, marks for the direction of writing, characters without a width, and what Unicode has not assigned. A backslash
    stays one, so that a text can pass through here twice.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def show_everything(*streams: TextIO | None) -> None:
    r"""Let what the encoding of a terminal cannot express be shown as an escape (``\u03a9``) instead of ending the program."""
    for stream in streams:
        # Only a real text stream has encoding errors; one that is closed is None.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
