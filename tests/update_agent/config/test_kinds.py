"""What can be written for each kind of value, and what it means."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from update_agent.config import kinds
from update_agent.config.settings import ROWS, Row

if TYPE_CHECKING:
    from update_agent.config.kinds import Kind

RATE, LIMIT = kinds.rate("1B/s"), kinds.rate("1kB/s", unlimited=True)
TIME, SIZE = kinds.duration("0s", "30d"), kinds.size("1KiB", "1GiB")


@pytest.mark.parametrize(
    ("kind", "written", "value"),
    [
        (TIME, "45m", timedelta(minutes=45)),
        (TIME, "1h30m", timedelta(minutes=90)),
        (TIME, "90s", timedelta(seconds=90)),
        (TIME, "1d", timedelta(hours=24)),
        (TIME, "0s", timedelta(0)),
        (RATE, "1000B/s", 1000),
        (RATE, "500kB/s", 500_000),
        (RATE, "2MB/s", 2_000_000),
        (LIMIT, "off", 0),
        (SIZE, "64KiB", 65536),
        (SIZE, "1MiB", 1048576),
        (kinds.whole_number(1, 15), "15", 15),
        (kinds.choice("off", "reboot"), "off", "off"),
        (kinds.url(), "", ""),
        (kinds.url(), "https://updates.example.com:8443/v1/", "https://updates.example.com:8443/v1/"),
        (kinds.url(), "http://[2001:db8::1]/", "http://[2001:db8::1]/"),
        (kinds.url("disabled"), "disabled", "disabled"),
        (kinds.url(folders=True), "/media/usb", "/media/usb"),
        (kinds.url(folders=True), "file:///media/usb", "file:///media/usb"),
        (kinds.url(schemes=("http",)), "http://proxy:3128", "http://proxy:3128"),
        (kinds.path(), "/var/lib/slotboot", "/var/lib/slotboot"),
        (kinds.path(empty=True), "", ""),
    ],
)
def test_what_is_written_is_understood(kind: Kind[object], written: str, value: object) -> None:
    assert kind.parse(written) == value


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        *(
            (TIME, written)
            for written in (
                "",
                "45",
                "m",
                "45 m",
                "-1m",
                "1.5h",
                "30m1h",
                "1h1h",
                "31d",
                "\u0664\u0665m",
                "9" * 30 + "d",
            )
        ),
        *((RATE, written) for written in ("", "off", "0B/s", "1000", "2MiB/s", "-1kB/s", "1.5MB/s", "9999GB/s")),
        *((LIMIT, written) for written in ("999B/s", "none", "Off")),
        *((SIZE, written) for written in ("", "64", "64K", "64kB", "0KiB", "2GiB")),
        *(
            (kinds.whole_number(1, 15), written)
            for written in ("", "0", "16", "1.0", "three", "+3", "\u0663", "1" * 5000)
        ),
        *((kinds.choice("off", "reboot"), written) for written in ("", "False", "OFF", "of")),
        *(
            (kinds.url(), written)
            for written in (
                "updates.example.com",
                "ftp://example.com",
                "http://",
                "http:///x",
                "http://example.com:99999/",
                "http://example.com:0/",
                "http://a b/",
                "http://example.com/\n",
                "http://example.com/#x",
                "disabled",
                "/media/usb",
                "http://[::1",
            )
        ),
        (kinds.url(), "file:///media/usb"),
        *((kinds.url(folders=True), written) for written in ("file://host/x", "file:x", "file:///a/../b")),
        (kinds.url(schemes=("http",)), "https://proxy:3128"),
        *((kinds.path(), written) for written in ("", "var/lib", "/var/../etc", "/a\nb", "/" + "a" * 5000)),
        (kinds.text(".*", "a text"), "a\x1b[2J"),
    ],
)
def test_what_is_no_value_is_refused(kind: Kind[object], written: str) -> None:
    with pytest.raises(ValueError):
        kind.parse(written)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_default_is_a_value_and_is_read_as_it_is_shown(row: Row) -> None:
    assert row.kind.parse(row.kind.show(row.default)) == row.default


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0s"), (59, "59s"), (60, "1m"), (5400, "1h30m"), (86400, "1d"), (90061, "1d1h1m1s")],
)
def test_times_are_shown_in_the_fewest_words(value: int, shown: str) -> None:
    assert kinds.show_duration(timedelta(seconds=value)) == shown
    assert TIME.parse(shown) == timedelta(seconds=value)


def test_rates_and_sizes_are_shown_in_the_largest_whole_unit() -> None:
    assert [RATE.show(value) for value in (1, 1500, 2000, 3_000_000)] == ["1B/s", "1500B/s", "2kB/s", "3MB/s"]
    assert [SIZE.show(value) for value in (1024, 1 << 20, 3 << 30)] == ["1KiB", "1MiB", "3GiB"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("http://ops:secret@proxy:3128/", "http://***@proxy:3128/"),
        ("http://token@proxy", "http://***@proxy"),
        ("http://ops:s@cret@proxy", "http://***@proxy"),
        ("https://a:secret@one:2379,https://b:secret@two:2379", "https://***@one:2379,https://***@two:2379"),
        ("http:/ops:secret@proxy", "***@proxy"),
        ("ops:secret@proxy", "***@proxy"),
        ("http://ops:sec/ret@proxy", "***@proxy"),
    ],
)
def test_who_logs_in_to_an_address_is_not_shown(written: str, shown: str) -> None:
    assert kinds.without_credentials(written) == shown
