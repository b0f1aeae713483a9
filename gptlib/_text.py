"""Text of the command line. Labels are UTF-8 on every system, as cgpt has them; the locale says only how Python decoded them."""

from __future__ import annotations

import os


def text_of(word: str) -> str:
    """The text that the bytes of an argument are in UTF-8; lone surrogates (U+DC80 to U+DCFF) stand for bytes that are not."""
    try:
        data = os.fsencode(word)
    except UnicodeEncodeError:
        # No argument of the process, or it could not hold such a letter.
        return word
    return data.decode("utf-8", "surrogateescape")
