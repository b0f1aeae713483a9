"""Windows by the local clock, on all days of the year, judged by locksmith's own table, the C library and systemd."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from update_agent.config.periods import DAYS, Start, limit_of, parse_length, parse_start
from update_agent.config.settings import Settings
from update_agent.reboot.window import Window, local_zone, window_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BERLIN, PACIFIC = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Los_Angeles")
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "America/Sao_Paulo", "Africa/Casablanca", "Asia/Kolkata",
    "Asia/Tehran", "Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Apia", "America/Havana", "Asia/Gaza",
]  # fmt: skip


def window(start: str, length: str, zone: ZoneInfo = BERLIN) -> Window:
    return Window(parse_start(start), parse_length(length), zone)


def local(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold)


# locksmith's own: pkg/timeutil/periodic_test.go, TestToStart. Negative: how long it has been open.
@pytest.mark.parametrize(
    ("start", "length", "now", "to_start"),
    [
        ("00:15", "10s", "2015-05-21 00:00:00", 15 * MINUTE),
        ("00:00", "1h", "2015-05-21 00:00:00", timedelta()),
        ("00:00", "1h", "2015-05-21 00:00:01", -1 * SECOND),
        ("02:33", "10h", "2015-05-21 12:33:00", -10 * HOUR),
        ("02:33", "10h", "2015-05-21 12:33:01", 13 * HOUR + 59 * MINUTE + 59 * SECOND),
        ("23:05", "11h", "2015-05-21 09:33:01", -(10 * HOUR + 28 * MINUTE + 1 * SECOND)),
        ("Thu 00:15", "10s", "2015-05-21 00:00:00", 15 * MINUTE),
        ("Thu 00:00", "1h", "2015-05-21 00:00:00", timedelta()),
        ("Sun 00:00", "1h", "2015-05-17 00:00:01", -1 * SECOND),
        ("Sun 02:33", "10h", "2015-05-17 12:33:00", -10 * HOUR),
        ("Sat 23:05", "11h", "2015-05-17 09:33:01", -(10 * HOUR + 28 * MINUTE + 1 * SECOND)),
        ("Mon 9:00", "1h", "2015-05-30 23:00:00", 34 * HOUR),
    ],
)
def test_locksmiths_own_table(start: str, length: str, now: str, to_start: timedelta) -> None:
    found, moment = window(start, length, PACIFIC), local(now, PACIFIC)
    assert found.is_open(moment) == (to_start <= timedelta())
    assert found.next_opening(moment) - moment == max(to_start, timedelta())


@pytest.mark.parametrize(
    ("start", "length", "opens", "closes"),
    [
        # 02:00 becomes 03:00: an hour is an hour.
        ("01:30", "1h", "2026-03-29 00:30", "2026-03-29 01:30"),
        ("23:00", "3h30m", "2026-03-28 22:00", "2026-03-29 01:30"),
        # 02:30 is left out: as long after the change as it would have come.
        ("02:30", "1h", "2026-03-29 01:30", "2026-03-29 02:30"),
        ("Sun 02:30", "1h", "2026-03-29 01:30", "2026-03-29 02:30"),
        # 03:00 becomes 02:00: 02:30 comes twice, and the first one counts.
        ("02:30", "45m", "2026-10-25 00:30", "2026-10-25 01:15"),
        ("Sun 02:30", "45m", "2026-10-25 00:30", "2026-10-25 01:15"),
        ("01:30", "3h", "2026-10-24 23:30", "2026-10-25 02:30"),
        ("Sat 23:00", "4h", "2026-10-24 21:00", "2026-10-25 01:00"),
    ],
)
def test_the_days_when_the_clock_is_changed(start: str, length: str, opens: str, closes: str) -> None:
    found = window(start, length)
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (opens, closes))
    assert [found.is_open(moment) for moment in (first - SECOND, first, last, last + SECOND)] == [
        False,
        True,
        True,
        False,
    ]
    assert found.next_opening(first - SECOND) == first


def test_a_window_of_almost_a_week_is_open_until_shortly_before_it_opens_again() -> None:
    found = window("Sun 23:00", "167h")
    closed = [local("2026-11-29 22:00:01"), local("2026-11-29 22:59:59")]
    assert [found.is_open(moment) for moment in closed] == [False, False]
    assert [found.is_open(moment) for moment in (local("2026-11-29 12:00"), local("2026-11-29 22:00"))] == [True, True]
    assert found.next_opening(closed[0]) == local("2026-11-29 23:00")


def test_a_day_that_a_country_left_out_has_no_opening_of_its_own() -> None:
    apia = ZoneInfo("Pacific/Apia")
    found = window("14:00", "1h", apia)
    assert found.next_opening(local("2011-12-29 15:30", apia)) == local("2011-12-31 14:00", apia)


@contextmanager
def zone_of_c(name: str) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()


def openings_of_c(start: Start, begin: int, end: int) -> Iterator[int]:
    """Seconds at which the clock of the C library comes to show the time, the first time on its date."""
    seen = set()
    # A window may open while a day begins at the change of the clock: look at the day before, too.
    for second in range(begin - 86400 - begin % 60, end, 60):
        now = time.localtime(second)
        if (now.tm_hour, now.tm_min) == (start.hour, start.minute) and start.day in (None, now.tm_wday):
            date = now.tm_year, now.tm_yday
            if date not in seen and second >= begin:
                yield second
            seen.add(date)


def open_since(found: Window, now: datetime) -> list[int]:
    """When it opened, of the openings that still last."""
    return [int(one.timestamp()) for one in found._starts(now) if one <= now <= one + found.length]


STARTS = st.builds(Start, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59]), st.none() | st.integers(0, 6))
# Around each change of the clock of 2026, and anywhere.
CHANGES = [
    datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 8), (3, 29), (4, 5), (9, 27), (10, 25), (11, 1))
]
MOMENTS = st.integers(0, 31_000_000).map(lambda second: datetime(2026, 1, 1, tzinfo=UTC) + second * SECOND) | st.builds(
    lambda change, seconds: change + timedelta(seconds=seconds), st.sampled_from(CHANGES), st.integers(-90000, 180000)
)


@pytest.mark.slow
@settings(max_examples=120, deadline=None)
@given(zone=st.sampled_from(ZONES), start=STARTS, share=st.floats(0.001, 0.999), now=MOMENTS)
def test_a_window_is_open_when_the_c_library_says_so(zone: str, start: Start, share: float, now: datetime) -> None:
    now = now.replace(microsecond=0)
    length = timedelta(seconds=int(limit_of(start).total_seconds() * share))
    found, second = Window(start, length, ZoneInfo(zone)), int(now.timestamp())
    with zone_of_c(zone):
        begin = second - int(length.total_seconds())
        shown = list(openings_of_c(start, begin - 7200, second + 9 * 86400))
        changed = any(
            time.localtime(moment).tm_gmtoff != time.localtime(moment + 3600).tm_gmtoff
            for moment in range(begin - 90000, second + 90000, 3600)
        )
        opened = any(moment <= second <= moment + length.total_seconds() for moment in shown)
        if found.is_open(now) != opened:
            # A time that the clock leaves out is nothing that the C library could show; the table above has it.
            assert changed
            assert not opened
            assert any(time.localtime(moment)[3:5] != (start.hour, start.minute) for moment in open_since(found, now))
    if not found.is_open(now) and not changed:
        assert found.next_opening(now).timestamp() == min(moment for moment in shown if moment > second)


@settings(max_examples=300, deadline=None)
@given(
    zone=st.timezones(),
    start=STARTS,
    share=st.floats(0.001, 0.999),
    second=st.integers(-630_000_000, 2_100_000_000),
)
def test_in_all_zones_the_next_opening_is_the_first_moment_that_is_open(
    zone: ZoneInfo, start: Start, share: float, second: int
) -> None:
    found, moment = Window(start, limit_of(start) * share, zone), datetime.fromtimestamp(second, UTC)
    opening = found.next_opening(moment)
    assert opening >= moment
    assert found.is_open(opening)
    if opening > moment:
        assert not found.is_open(moment)
        assert not found.is_open(opening - timedelta(microseconds=1))
        for part in range(1, 20):
            assert not found.is_open(moment + (opening - moment) * part / 20 - timedelta(microseconds=1))
        # Exactly so long, to the end and not beyond.
        assert found.is_open(opening + found.length)
    assert opening - moment <= limit_of(start) + timedelta(days=2)


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze (Debian: systemd) is not installed"
)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"])
@pytest.mark.parametrize("text", ["Thu 23:00", "04:30", "Sun 00:15"])
def test_systemd_opens_it_at_the_same_times(zone: str, text: str) -> None:
    found = window(text, "1m", ZoneInfo(zone))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    argv = ["systemd-analyze", "calendar", "--iterations=40", f"--base-time={now:%Y-%m-%d %H:%M:%S} UTC", text]
    done = subprocess.run(
        argv, env={**os.environ, "TZ": zone, "LC_ALL": "C"}, capture_output=True, text=True, check=True
    )
    lines = [line.split("(in UTC): ")[1] for line in done.stdout.splitlines() if "(in UTC)" in line]
    assert len(lines) == 40
    for line in lines:
        judged = datetime.strptime(line, "%a %Y-%m-%d %H:%M:%S %Z").replace(tzinfo=UTC)
        assert found.next_opening(now) == judged
        now = judged + 2 * MINUTE


def test_settings_without_a_window_have_none_and_the_zone_is_the_machines(tmp_path: Path) -> None:
    assert window_of(Settings()) is None
    found = window_of(Settings(window_start="Thu 23:00", window_length="1h30m"), BERLIN)
    assert found == Window(Start(23, 0, DAYS.index("thu")), timedelta(minutes=90), BERLIN)
    assert local_zone(tmp_path / "none") is UTC
    (tmp_path / "broken").write_bytes(b"no zone")
    assert local_zone(tmp_path / "broken") is UTC
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    zone = local_zone(tmp_path / "localtime")
    assert datetime(2026, 7, 1, 12, tzinfo=UTC).astimezone(zone).hour == 14
    assert datetime(2099, 7, 1, 12, tzinfo=UTC).astimezone(zone).hour == 14
