"""On which line a key stands, as somebody counts who reads the file."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootselect.toml_lines import line_of, lines_of_keys

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# a comment\n\n  # another\na = 1 # and one behind", {"a": 4}),
        ("a = 1\nb = 2\n", {"a": 1, "b": 2}),
        ("a.b.c = 1\na.d = 2\n", {"a": 1, "a.b": 1, "a.b.c": 1, "a.d": 2}),
        ("\"a b\" = 1\n'c.d' = 2\n", {"a b": 1, "c.d": 2}),
        ("[a]\nx = 1\n[b]\nx = 2\n", {"a": 1, "a.x": 2, "b": 3, "b.x": 4}),
        ("  [ a . b ] # heading\n  x = 1\n", {"a": 1, "a.b": 1, "a.b.x": 2}),
        ("[a.b]\nx = 1\n[a]\ny = 2\n", {"a": 1, "a.b": 1, "a.b.x": 2, "a.y": 4}),
        ('[s.f]\n"/etc/a.conf" = "x"\n', {"s": 1, "s.f": 1, "s.f./etc/a.conf": 2}),
        ('a = """\nb = 1\n[c]\n"""\nd = 2\n', {"a": 1, "d": 5}),
        ("a = '''\n[[b]]\n'''\nd = 2\n", {"a": 1, "d": 4}),
        ("a = [ # [b]\n  1,\n  # c = 2\n  2,\n]\nd = 2\n", {"a": 1, "d": 6}),
        ('a = ["]", "[b]"]\nd = 2\n', {"a": 1, "d": 2}),
        ("a = { b = 1, c = { d = 2 } }\n", {"a": 1, "a.b": 1, "a.c": 1, "a.c.d": 1}),
        ("a = [\n  { b = 1 },\n  { c = 2 },\n]\n", {"a": 1, "a[1]": 1, "a[1].b": 1, "a[2]": 1, "a[2].c": 1}),
        ("[[p]]\nx = 1\n[[p]]\nx = 2\n", {"p": 1, "p[1]": 1, "p[1].x": 2, "p[2]": 3, "p[2].x": 4}),
        ("[[p]]\n[[p]]\n[p.f]\nx = 1\n", {"p": 1, "p[1]": 1, "p[2]": 2, "p[2].f": 3, "p[2].f.x": 4}),
        (
            "[[p]]\n[[p.q]]\nx = 1\n[[p]]\n[[p.q]]\nx = 2\n",
            {
                "p": 1,
                "p[1]": 1,
                "p[1].q": 2,
                "p[1].q[1]": 2,
                "p[1].q[1].x": 3,
                "p[2]": 4,
                "p[2].q": 5,
                "p[2].q[1]": 5,
                "p[2].q[1].x": 6,
            },
        ),
        ("a = 1\r\n\r\n[b]\r\nc = 2\r\n", {"a": 1, "b": 3, "b.c": 4}),
        # Ends of lines for Python, letters for TOML.
        ('a = "\u2028\u0085"\nb = 2\n', {"a": 1, "b": 2}),
    ],
)
def test_every_key_is_on_the_line_where_it_is_read(text: str, expected: dict[str, int]) -> None:
    tomllib.loads(text)
    assert lines_of_keys(text) == expected


def test_what_is_missing_is_told_with_the_line_of_its_table() -> None:
    lines = lines_of_keys("[image]\n[[partition]]\n[[partition]]\nlabel = 'x'\n")
    assert line_of("image.name", lines) == 1
    assert line_of("partition[2].label", lines) == 4
    assert line_of("partition[2].size", lines) == 3
    assert line_of("partition[2].a.b.c", lines) == 3
    assert line_of("partition[7].size", lines) == 2
    assert line_of("boot", lines) == line_of("", lines) == 0


def test_a_list_that_is_longer_than_any_hides_no_other_key() -> None:
    entries = "".join(f'  "module_{number}",\n' for number in range(3000))
    assert lines_of_keys(f"[a]\nx = [\n{entries}]\n[b]\ny = 1\n")["b.y"] == 3000 + 5


BARE = st.text("abcdefgh-_", min_size=1, max_size=4)
QUOTED = st.text("a.b[]/= #'", min_size=1, max_size=5).map(lambda text: f'"{text}"')
KEY = st.one_of(BARE, QUOTED)
DOTTED = st.lists(KEY, min_size=1, max_size=3).map(".".join)
VALUE = st.sampled_from(
    [
        "1",
        '"text"',
        "'[x]'",
        "[1, 2]",
        "[\n  1,\n  # y = 1\n]",
        '"""\n[z]\nk = 1\n"""',
        "{ a = 1 }",
        "[ { b = 1 } ]",
        "[]",
    ]
)
LINE = st.one_of(
    st.tuples(DOTTED, VALUE).map(lambda pair: f"{pair[0]} = {pair[1]}"),
    DOTTED.map(lambda name: f"[{name}]"),
    DOTTED.map(lambda name: f"[[{name}]]  # heading"),
    st.sampled_from(["", "# [comment]", "   "]),
)


def readable(lines: list[str]) -> str:
    """The lines that TOML takes, one after the other."""
    text = ""
    for line in lines:
        try:
            tomllib.loads(f"{text}{line}\n")
        except tomllib.TOMLDecodeError:
            continue
        text += f"{line}\n"
    return text


def keys_of(value: object, before: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{before}.{key}" if before else key
            yield from keys_of(inner, f"{before}.{key}" if before else key)
    elif isinstance(value, list):
        for place, inner in enumerate(value, 1):
            yield from keys_of(inner, f"{before}[{place}]")


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.lists(LINE, max_size=12).map(readable))
def test_every_key_that_toml_has_is_on_some_line_that_names_it(text: str) -> None:
    lines = lines_of_keys(text)
    for key in keys_of(tomllib.loads(text)):
        last = key.rpartition(".")[2] if '"' not in text else ""
        assert last.partition("[")[0] in text.splitlines()[lines[key] - 1]


@settings(max_examples=300, deadline=None)
@given(st.text("a1=\"'[]{}.,#\n\\ ", max_size=40))
def test_any_text_is_survived(text: str) -> None:
    try:
        expected = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        lines_of_keys(text)
        return
    assert set(keys_of(expected)) <= set(lines_of_keys(text))
