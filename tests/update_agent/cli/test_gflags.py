"""Command lines as gflags takes them (its manual, and gflags.cc)."""

from __future__ import annotations

import pytest

from update_agent.cli.gflags import parse

KNOWN = ("status", "update", "reset_status", "notable")


@pytest.mark.parametrize(
    ("words", "on"),
    [
        ("-status", "status"),
        ("--status", "status"),
        ("-status=true -update=Y --reset_status=1", "status update reset_status"),
        ("-reset-status", "reset_status"),
        ("-nostatus", ""),
        ("-status -nostatus", ""),
        ("-nostatus -status", "status"),
        ("-status=false", ""),
        ("-status=N -update=f", ""),
        ("-notable", "notable"),
        ("-nonotable", ""),
        ("stray -status words", "status"),
        ("- -status", "status"),
        ("-update -- -status", "update"),
        ("", ""),
    ],
)
def test_a_flag_is_on_or_off(words: str, on: str) -> None:
    assert parse(words.split(), KNOWN) == (frozenset(on.split()), (), False, False)


@pytest.mark.parametrize(
    ("words", "mistakes"),
    [
        ("-foo", ["ERROR: unknown command line flag 'foo'"]),
        ("--foo=bar", ["ERROR: unknown command line flag 'foo'"]),
        ("-nofoo", ["ERROR: unknown command line flag 'nofoo'"]),
        ("---status", ["ERROR: unknown command line flag '-status'"]),
        ("-status=maybe", ["ERROR: illegal value 'maybe' specified for bool flag 'status'"]),
        ("-status=", ["ERROR: illegal value '' specified for bool flag 'status'"]),
        ("-z -a", ["ERROR: unknown command line flag 'a'", "ERROR: unknown command line flag 'z'"]),
        ("-status -foo", ["ERROR: unknown command line flag 'foo'"]),
    ],
)
def test_a_mistake_is_told(words: str, mistakes: list[str]) -> None:
    assert list(parse(words.split(), KNOWN).mistakes) == mistakes


def test_help_and_version_are_flags_of_their_own() -> None:
    assert parse(["-help"], KNOWN).help
    assert parse(["--version", "-status"], KNOWN)[0] == {"status"}
    assert not parse(["-nohelp"], KNOWN).help
