"""Windows as they are written."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from update_agent.config.errors import ConfigError
from update_agent.config.files import read_configuration
from update_agent.config.periods import Start, parse_length, parse_start

if TYPE_CHECKING:
    from pathlib import Path

# Those of Go's own test of ParseDuration that are not negative, in seconds.
GO = [
    ("0", 0), ("5s", 5), ("30s", 30), ("1478s", 1478), ("+5s", 5), ("+0", 0), ("5.0s", 5), ("5.6s", 5.6), ("5.s", 5),
    (".5s", 0.5), ("1.0s", 1), ("1.00s", 1), ("1.004s", 1.004), ("1.0040s", 1.004), ("100.00100s", 100.001),
    ("11us", 11e-6), ("12\u00b5s", 12e-6), ("12\u03bcs", 12e-6), ("13ms", 0.013), ("14s", 14), ("15m", 900),
    ("16h", 57600), ("3h30m", 12600), ("10.5s4m", 250.5), ("39h9m14.425s", 140954.425),
    ("1h2m3s4ms5us6ns", 3723.004005), ("0.3333333333333333333h", 1199.999999), ("52763797000ns", 52.763797),
    ("0.100000000000000000000h", 360),
]  # fmt: skip
GO_REFUSES = ["", "3", "-", "s", ".", "-.", ".s", "+.s", "1d", "\x85\x85", "\xffff", "hello \xffff world"]


@pytest.mark.parametrize(("written", "seconds"), GO)
def test_a_length_is_what_go_makes_of_it(written: str, seconds: float) -> None:
    assert parse_length(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize("written", [*GO_REFUSES, "-1h", "1h ", "1h 30m", "1H", "\u0661h", "9999999h", "1" * 100 + "s"])
def test_what_go_refuses_and_what_is_negative_is_none(written: str) -> None:
    with pytest.raises(ValueError):
        parse_length(written)


@pytest.mark.parametrize(
    ("written", "start"),
    [
        ("14:00", Start(14, 0)),
        ("00:00", Start(0, 0)),
        ("23:59", Start(23, 59)),
        ("9:05", Start(9, 5)),
        ("Thu 23:00", Start(23, 0, 3)),
        ("mon 04:30", Start(4, 30, 0)),
        ("SUN  4:30", Start(4, 30, 6)),
    ],
)
def test_a_start_is_a_time_on_each_day_or_on_one(written: str, start: Start) -> None:
    assert parse_start(written) == start


@pytest.mark.parametrize(
    "written",
    ["", "25:00", "24:00", "23:61", "23:60", "14", "foo 14:00", "sat 14:00 1234", "sat", "sat14:00", "-1:00", "14:00x",
     "840", "1:2", "thursday 1:00", "\u0661\u0664:00"],
)  # fmt: skip
def test_no_start_is_guessed(written: str) -> None:
    with pytest.raises(ValueError):
        parse_start(written)


def problems(root: Path, *lines: str) -> list[str]:
    file = root / "etc/coreos/update.conf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))
    try:
        read_configuration(root, {})
    except ConfigError as error:
        return [str(mistake).removeprefix(f"{file}:") for mistake in error.mistakes]
    return []


START, LENGTH = "REBOOT_WINDOW_START", "LOCKSMITHD_REBOOT_WINDOW_LENGTH"


@pytest.mark.parametrize(
    "lines",
    [
        (f'{START}="Thu 23:00"', f"{LENGTH}=1h30m"),
        (f"{START}=14:00", f"{LENGTH}=23h59m59s"),
        (f"{START}='Sat 00:00'", f"{LENGTH}=167h59m"),
        (f"{START}=", f"{LENGTH}="),
        (),
    ],
)
def test_windows_that_can_be(tmp_path: Path, lines: tuple[str, ...]) -> None:
    assert problems(tmp_path, *lines) == []


def test_refused_windows_are_named_with_file_and_line(tmp_path: Path) -> None:
    day, week = (
        "expected more than nothing and less than 24 hours",
        "expected more than nothing and less than 168 hours",
    )
    start = 'a time as "14:00", or with a day as "Thu 23:00"'
    both = "expected both or none"
    assert problems(tmp_path, f"{START}=14:00", f"{LENGTH}=24h") == [f"2: {LENGTH} is 24h; {day}"]
    assert problems(tmp_path, f"{START}=14:00", f"{LENGTH}=0s") == [f"2: {LENGTH} is 0s; {day}"]
    assert problems(tmp_path, f"{LENGTH}=168h", f"{START}=Fri 14:00") == [f"1: {LENGTH} is 168h; {week}"]
    assert problems(tmp_path, f"{START}=14:00") == [f"1: {START} is set, and locksmith.window-length is not; {both}"]
    assert problems(tmp_path, f"{LENGTH}=1h") == [f"1: {LENGTH} is set, and locksmith.window-start is not; {both}"]
    assert problems(tmp_path, f"{START}=Someday 14:00", f"{LENGTH}=1x") == [
        f"1: {START} is 'Someday 14:00'; expected {start}",
        f"2: {LENGTH} is '1x'; expected a duration of Go, as \"1h30m\"",
    ]
