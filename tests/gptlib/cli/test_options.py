"""Options in the manner of getopt."""

from __future__ import annotations

import pytest

from gptlib.cli.options import Option, Parsed, UsageError, parse, parse_number

OPTIONS = (
    Option("i", "NUM", ""),
    Option("v", "", ""),
    Option("n", "", ""),
    Option("", "NUM", "", "size"),
    Option("j", "", "", "json"),
)


def values(parsed: Parsed) -> tuple[dict[str, str | None], list[str]]:
    return {key: parsed.text(key) for key in ("i", "v", "n", "size", "j") if parsed.has(key)}, parsed.arguments


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-i3 disk", ({"i": "3"}, ["disk"])),
        ("-i 3 disk", ({"i": "3"}, ["disk"])),
        ("disk -i 3", ({"i": "3"}, ["disk"])),
        ("-vn disk", ({"v": "", "n": ""}, ["disk"])),
        ("-vni3 disk", ({"v": "", "n": "", "i": "3"}, ["disk"])),
        ("-i 3 -i 4", ({"i": "4"}, [])),
        ("--size 5 --json", ({"size": "5", "j": ""}, [])),
        ("--size=5 -j", ({"size": "5", "j": ""}, [])),
        ("-v -- -n disk", ({"v": ""}, ["-n", "disk"])),
        ("- disk", ({}, ["-", "disk"])),
        ("-i -3", ({"i": "-3"}, [])),
    ],
)
def test_command_lines_are_sorted_as_getopt_does(words: str, expected: tuple[dict[str, str], list[str]]) -> None:
    assert values(parse(OPTIONS, words.split())) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-x", "unrecognized option: -x"),
        ("-vx", "unrecognized option: -x"),
        ("--nonsense", "unrecognized option: --nonsense"),
        ("-i", "missing argument to -i"),
        ("-vi", "missing argument to -i"),
        ("--size", "missing argument to --size"),
        ("--json=yes", "--json takes no argument"),
    ],
)
def test_a_wrong_command_line_is_refused(words: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(OPTIONS, words.split())


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *[
            ("0", 0),
            ("10", 10),
            ("010", 8),
            ("0x10", 16),
            ("0X1f", 31),
            (" 7", 7),
            ("+7", 7),
            ("18446744073709551615", (1 << 64) - 1),
        ],
        *[
            ("", None),
            ("x", None),
            ("1x", None),
            ("-1", None),
            ("1_000", None),
            ("08", None),
            ("1e3", None),
            ("18446744073709551616", None),
        ],
    ],
)
def test_numbers_are_those_of_strtoull(text: str, number: int | None) -> None:
    assert parse_number(text) == number
