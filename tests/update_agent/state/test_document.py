"""The files of the state, written by hand; what is not exactly one of them is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.update_agent.state.machines import BAD, BOOT, NOW, B, machine_in
from update_agent.state.document import (
    DocumentError,
    NewerFormatError,
    Trial,
    Verdicts,
    decode_machine,
    decode_verdicts,
    encode_machine,
    encode_verdicts,
    moment,
    parse_moment,
)
from update_agent.state.machine import Machine, Progress
from update_agent.state.transitions import Happening, State

DOWNLOADING: dict[str, Any] = {
    "format": 1,
    "state": "downloading",
    "event": "begin",
    "since": "2026-11-28T12:00:00Z",
    "version": "1.1",
    "reason": "",
    "progress": [4194304, 408000000],
    "slot": B,
    "boot-id": None,
    "untried": 0,
    "checked": "2026-11-28T12:00:00Z",
    "bad": [{"version": "1.0", "reason": "all tries are used up", "at": "2026-11-28T12:00:00Z"}],
}
MACHINE = Machine(
    state=State.DOWNLOADING,
    event=Happening.BEGIN,
    since=NOW,
    version="1.1",
    progress=Progress(4 << 20, 408_000_000),
    slot=B,
    checked=NOW,
    bad=(BAD,),
)


def written(**changes: object) -> bytes:
    return json.dumps({**DOWNLOADING, **changes}).encode()


def test_a_state_written_by_hand_is_the_machine() -> None:
    assert decode_machine(written()) == MACHINE


def test_what_is_written_is_what_a_hand_would_write() -> None:
    assert json.loads(encode_machine(MACHINE)) == DOWNLOADING
    armed = json.loads(encode_machine(machine_in(State.ARMED)))
    assert (armed["state"], armed["event"], armed["boot-id"], armed["progress"]) == ("armed", "arm", BOOT, None)


@pytest.mark.parametrize("state", State)
def test_a_machine_in_any_state_comes_back_as_it_was(state: State) -> None:
    machine = machine_in(state, BAD)
    assert decode_machine(encode_machine(machine)) == machine


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 300,
        b"[]",
        b"nonsense",
        b"\xff",
        b"[" * 100_000,
        written()[:-5],
        written() + written(),
        written().replace(b'"reason"', b'"version"', 1),
        written(format=0),
        written(format="1"),
        written(format=True),
        written(state="dancing"),
        written(event="dance"),
        written(since="yesterday"),
        written(since="2026-11-28T12:00:00"),
        written(since=None),
        written(version=None),
        written(version=11),
        written(version="a\nb"),
        written(progress=[1]),
        written(progress=[2, 1]),
        written(progress=[True, 1]),
        written(progress=[1.0, 2]),
        written(slot=None),
        written(untried=-1),
        written(untried=10**30),
        written(untried=float("nan")),
        written(checked="never"),
        written(bad=None),
        written(bad=["1.0"]),
        written(bad=[{"version": "1.0"}]),
        written(bad=[{"version": "", "reason": "", "at": "2026-11-28T12:00:00Z"}]),
        written(bad=DOWNLOADING["bad"] * 2),
        written(color="blue"),
    ],
)
def test_what_is_no_state_is_damaged(data: bytes) -> None:
    with pytest.raises(DocumentError) as refused:
        decode_machine(data)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("name", [name for name in DOWNLOADING if name != "format"])
def test_a_state_with_a_field_missing_is_damaged_and_the_field_is_named(name: str) -> None:
    with pytest.raises(DocumentError, match=f"{name} is missing"):
        decode_machine(json.dumps({key: value for key, value in DOWNLOADING.items() if key != name}).encode())


def test_a_newer_format_is_told_apart_from_damage() -> None:
    with pytest.raises(NewerFormatError) as refused:
        decode_machine(b'{"format": 2, "anything": []}')
    assert refused.value.found == 2


def test_verdicts_written_by_hand_are_read_with_fields_of_the_future() -> None:
    bad = {"version": "1.0", "reason": "all tries are used up", "at": "2026-11-28T12:00:00Z", "seen": 3}
    data = {"format": 1, "bad": [bad], "trial": {"version": "1.1", "slot": B, "mood": "good"}, "weather": "fine"}
    assert decode_verdicts(json.dumps(data).encode()) == Verdicts((BAD,), Trial("1.1", B))
    assert decode_verdicts(b'{"format": 1, "bad": [], "trial": null}') == Verdicts()


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"format": 1, "bad": []}', b'{"format": 1, "bad": [], "trial": {"version": "1"}}']
)
def test_what_is_no_list_of_verdicts_is_damaged(data: bytes) -> None:
    with pytest.raises(DocumentError):
        decode_verdicts(data)


@pytest.mark.parametrize("state", State)
def test_a_version_is_on_trial_from_before_it_is_armed_until_it_is_judged(state: State) -> None:
    on_trial = {"installing", "armed", "waiting-to-reboot", "rebooting", "proving"}
    verdicts = Verdicts.of(machine_in(state, BAD))
    assert verdicts.trial == (Trial("1.1", B) if state in on_trial else None)
    assert decode_verdicts(encode_verdicts(verdicts)) == verdicts


@pytest.mark.parametrize("year", [1, 1970, 2099, 9999])
def test_times_of_broken_clocks_are_kept(year: int) -> None:
    time = datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert moment(time) == f"{year:04}-02-03T04:05:06Z"
    assert parse_moment(moment(time)) == time
