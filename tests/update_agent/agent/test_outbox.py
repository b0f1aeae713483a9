"""What is owed to a server after a reboot, on the disk."""

from __future__ import annotations

import errno
import json
from typing import TYPE_CHECKING

import pytest

from update_agent.agent.outbox import MOST, NAME, Outbox
from update_agent.omaha.events import ROLLED_BACK, Event
from update_agent.state.files import SystemFiles

if TYPE_CHECKING:
    from pathlib import Path

REBOOTED = Event(3, 2, previous="1.0")


def test_a_verdict_is_owed_once_and_until_it_is_delivered(tmp_path: Path) -> None:
    box = Outbox(tmp_path / "state")
    box.begin("1.1", "1.0")
    box.begin("1.1", "other")
    box.owe("1.1", proved=True)
    box.owe("1.1", proved=True)
    assert Outbox(tmp_path / "state").owed() == (REBOOTED,)
    box.begin("1.2", "1.1")
    box.owe("1.2", proved=False)
    assert box.owed() == (REBOOTED, ROLLED_BACK)
    box.delivered((REBOOTED,))
    assert box.owed() == (ROLLED_BACK,)
    box.delivered((ROLLED_BACK,))
    assert box.owed() == ()


def test_nothing_is_owed_for_what_did_not_begin_here(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    box.owe("1.1", proved=True)
    box.owe("", proved=False)
    box.begin("1.1", "1.0")
    box.owe("1.2", proved=True)
    assert box.owed() == ()


def test_the_file_of_the_first_format_is_read_by_every_version(tmp_path: Path) -> None:
    owed = {"kind": 3, "result": 2, "code": None, "previous": "1.0", "from a newer version": 1}
    text = json.dumps({"format": 1, "version": "1.2", "previous": "1.1", "owed": [owed], "more": True})
    (tmp_path / NAME).write_text(text)
    box = Outbox(tmp_path)
    assert box.owed() == (REBOOTED,)
    box.owe("1.2", proved=False)
    assert box.owed() == (REBOOTED, ROLLED_BACK)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": 2, "version": "", "previous": "", "owed": []}',
        '{"format": 1, "version": 1, "previous": "", "owed": []}',
        '{"format": 1, "version": "", "previous": "", "owed": [1]}',
        '{"format": 1, "version": "", "previous": "", "owed": [{"kind": 3, "result": true}]}',
        '{"format": 1, "version": "", "previous": "", "owed": [{"kind": 3, "result": 2, "previous": 1}]}',
        "[" * 60000,
        "\xff",
    ],
)
def test_a_file_that_is_damaged_is_told_and_forgotten(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_bytes(text.encode("latin-1"))
    told: list[str] = []
    box = Outbox(tmp_path, tell=told.append)
    assert box.owed() == ()
    assert "is forgotten" in told[0]
    box.begin("1.1", "1.0")
    box.owe("1.1", proved=True)
    assert box.owed() == (REBOOTED,)


def test_they_do_not_grow_without_end(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    for number in range(20):
        box.begin(f"1.{number + 1}", f"1.{number}")
        box.owe(f"1.{number + 1}", proved=True)
    assert [event.previous for event in box.owed()] == [f"1.{number}" for number in range(20 - MOST, 20)]


@pytest.mark.parametrize("call", ["create", "write", "fsync", "rename"])
def test_a_full_disk_costs_a_report_and_is_told(tmp_path: Path, call: str) -> None:
    class Full(SystemFiles):
        pass

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    Outbox(tmp_path).begin("1.1", "1.0")
    setattr(Full, call, full)
    told: list[str] = []
    box = Outbox(tmp_path, Full(), told.append)
    box.owe("1.1", proved=True)
    assert "cannot be written: No space left" in told[0]
    assert Outbox(tmp_path).owed() == ()
    Outbox(tmp_path).owe("1.1", proved=True)
    assert Outbox(tmp_path).owed() == (REBOOTED,)
