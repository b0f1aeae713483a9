"""What comes from a disk cannot move the cursor, fake a line or end the program that shows it."""

from __future__ import annotations

import io
import sys
import unicodedata

import pytest

from gptlib.printable import printable, show_everything


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("USR-A", "USR-A"),
        ("Größe 日本 \U0001f600", "Größe 日本 \U0001f600"),
        ("x\n  2  USR-B", "x\\n  2  USR-B"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("a\tb\rc\x7f", "a\\tb\\rc\\x7f"),
        ("\x85\x9b31m", "\\x85\\x9b31m"),
        ("\ud800A", "\\ud800A"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\u202eb\u2066a\u061c\u200f", "\\u202eb\\u2066a\\u061c\\u200f"),
        ("\ufeff\u200b", "\\ufeff\\u200b"),
        (r"C:\new", r"C:\new"),
    ],
)
def test_what_does_not_show_as_itself_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_no_character_of_unicode_gets_through_that_could_act_on_a_terminal() -> None:
    dangerous = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        if unicodedata.category(letter) in dangerous:
            shown = printable(letter)
            assert shown.isascii()
            assert shown.isprintable()
            assert shown != letter


def test_a_text_can_pass_through_twice() -> None:
    hostile = "a\x1b\n\ud800\\n\u202e"
    assert printable(printable(hostile)) == printable(hostile)


def test_an_encoding_that_is_too_small_is_no_error() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    show_everything(stream, None, io.StringIO())
    stream.write("Ω")
    stream.flush()
    assert stream.buffer.getvalue() == b"\\u03a9"
