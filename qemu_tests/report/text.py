"""Text from guests, labels and names, made harmless for whoever reads it: nothing moves a cursor, hides, or turns around."""

from __future__ import annotations

import re
import unicodedata

# ECMA-48: control sequences; strings for the terminal (titles, colours), which end on the same line; two-byte escapes.
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\r\n]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-Z\\^-~]"
)
_LINE_ENDS = re.compile(r"\r*\n|\r+|[\x0b\x0c\x85\u2028\u2029]")
_SUSPECT = re.compile(r"[^\t\n\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u0370-\u058f\u2010-\u2027\u2030-\u205e\u2070-\u2bff]")
_HIDDEN = {"Cc", "Cf", "Co", "Cn", "Zl", "Zp"}


def plain(text: str) -> str:
    """One line of it."""
    return " ".join(plain_lines(text))


def plain_lines(text: str) -> list[str]:
    """Its lines, without terminal sequences. A carriage return ends a line: nothing is written over.

    Control characters that are left are shown as ``^G``, characters that cannot be seen or that change the direction of
    writing as ``<U+202E>``, and halves of a surrogate pair as the replacement character.
    """
    without = _ESCAPE.sub("", text)
    return [_SUSPECT.sub(_visible, line) for line in _LINE_ENDS.split(without)]


def _visible(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if code < 0x20 or code == 0x7F:
        return f"^{chr(code ^ 0x40)}"
    category = unicodedata.category(character)
    if category == "Cs":
        return "\ufffd"
    return f"<U+{code:04X}>" if category in _HIDDEN else character
