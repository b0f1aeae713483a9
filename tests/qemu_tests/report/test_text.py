"""Terminal sequences, control characters and letters that hide or turn around."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_tests.report.text import plain, plain_lines


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\r\nb\nc\rd", ["a", "b", "c", "d"]),
        ("10 %\r20 %\r\n", ["10 %", "20 %", ""]),
        ("\x1b[1;31mred\x1b[0m \x1b[2J\x1b[01;01Hhome", ["red home"]),
        ("\x1b]0;title\x07a\x1b]8;;http://x/\x1b\\link\x1b]8;;\x1b\\", ["alink"]),
        ("\x9b31mred\x9d0;title\x9ca", ["reda"]),
        ("\x1bPdevice\x1b\\a\x1b(Bb\x1b=c\x1b7d", ["abcd"]),
        ("\x1b]0;never ends\nnext", ["^[]0;never ends", "next"]),
        ("\x1b[31", ["^[[31"]),
        ("a\0b\x07c\x08d\x7fe\x80f", ["a^@b^Gc^Hd^?e<U+0080>f"]),
        ("\u202eevil\u2066x\u200by\ufeff\u00ad", ["<U+202E>evil<U+2066>x<U+200B>y<U+FEFF><U+00AD>"]),
        ("half \ud800 \U000e0041", ["half \ufffd <U+E0041>"]),
        ("a\u2028b\x0bc\x85d", ["a", "b", "c", "d"]),
        ("Grüße, 世界 → ✓\ttab", ["Grüße, 世界 → ✓\ttab"]),
    ],
)
def test_what_moves_hides_or_turns_around_is_shown_or_gone(text: str, lines: list[str]) -> None:
    assert plain_lines(text) == lines


@given(st.text(st.characters()))
def test_nothing_is_left_that_a_terminal_or_browser_acts_on(text: str) -> None:
    for character in plain(text):
        assert character == "\t" or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text(st.sampled_from("abc <>&\"'/")))
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert plain(text) == text


def test_a_flood_of_unfinished_sequences_takes_linear_time() -> None:
    text = "\x1b]\x1b[\x1bP" * 200_000
    assert re.fullmatch(r"(\^\[|[]\[P])*", plain(text))
