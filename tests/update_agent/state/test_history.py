"""What happened, as lines of JSON: torn lines, a bound on the size, and nothing twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.state.machines import LATER, NOW, event, machine_in
from update_agent.state.errors import HistoryWriteError, StateReadError
from update_agent.state.history import SMALLEST, History, Record, record_of
from update_agent.state.machine import advance
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from pathlib import Path

H = Happening
ARMED = Record(NOW, "armed", "1.1")
FAILED = Record(LATER, "rolled-back", "1.1", "all tries are used up")
LINE = '{"at": "2026-11-28T12:00:00Z", "what": "armed", "version": "1.1", "reason": ""}\n'


def test_a_record_is_one_line_of_json(tmp_path: Path) -> None:
    assert History(tmp_path / "new", SMALLEST).append(ARMED)
    assert (tmp_path / "new/history.jsonl").read_text() == LINE


def test_lines_written_by_hand_are_records_and_fields_of_the_future_are_passed_over(tmp_path: Path) -> None:
    future = json.dumps({"at": "2026-11-28T12:45:00Z", "what": "danced", "version": "2", "reason": "", "with": "whom"})
    (tmp_path / "history.jsonl").write_text(LINE + future + "\n")
    found = History(tmp_path, SMALLEST).read()
    assert found.records == (ARMED, Record(LATER, "danced", "2"))
    assert found.damaged == 0


def test_no_history_is_an_empty_one(tmp_path: Path) -> None:
    assert History(tmp_path / "none", SMALLEST).read() == ((), 0)


@pytest.mark.parametrize("torn", [LINE[:20], LINE[:-1], "\0" * 40, "{}", "[1]", LINE.replace("2026", "year")])
def test_a_torn_last_line_costs_nothing_but_itself(tmp_path: Path, torn: str) -> None:
    (tmp_path / "history.jsonl").write_text(LINE + torn)
    history = History(tmp_path, SMALLEST)
    whole = torn == LINE[:-1]
    assert history.read() == ((ARMED, ARMED) if whole else (ARMED,), 0 if whole else 1)
    assert history.append(FAILED)
    assert history.read().records[-1] == FAILED
    assert history.read().records[0] == ARMED


def test_bytes_that_are_no_text_are_one_damaged_line(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_bytes(b"\xff\xfe\n" + LINE.encode())
    assert History(tmp_path, SMALLEST).read() == ((ARMED,), 1)


def test_a_record_is_not_added_again_after_a_kill(tmp_path: Path) -> None:
    history = History(tmp_path, SMALLEST)
    assert history.append(ARMED)
    assert not history.append(ARMED)
    assert history.append(FAILED)
    assert history.append(ARMED)
    assert history.read().records == (ARMED, FAILED, ARMED)


def test_a_reason_that_comes_back_with_every_check_does_not_fill_the_history(tmp_path: Path) -> None:
    history = History(tmp_path, SMALLEST)
    assert history.append(Record(NOW, "refused", "1.2", "no space"))
    assert not history.append(Record(LATER, "refused", "1.2", "no space"))
    assert history.append(Record(LATER, "refused", "1.2", "wrong kernel"))


def test_the_files_together_never_exceed_the_limit_and_the_newest_records_stay(tmp_path: Path) -> None:
    history = History(tmp_path, SMALLEST)
    records = [Record(NOW, "armed", str(number), "r" * 300) for number in range(100)]
    for record in records:
        history.append(record)
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= SMALLEST
    found = history.read().records
    assert len(found) > 15
    assert found == tuple(records[-len(found) :])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.1.jsonl", "history.jsonl"]


def test_a_record_is_not_added_again_because_a_new_file_began(tmp_path: Path) -> None:
    history = History(tmp_path, SMALLEST)
    history.append(ARMED)
    (tmp_path / "history.jsonl").rename(tmp_path / "history.1.jsonl")
    assert not history.append(ARMED)


def test_a_history_that_cannot_be_read_or_written_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").mkdir()
    with pytest.raises(StateReadError, match=r"history\.jsonl: "):
        History(tmp_path, SMALLEST).read()
    (tmp_path / "file").write_text("")
    with pytest.raises((HistoryWriteError, StateReadError), match="Not a directory"):
        History(tmp_path / "file", SMALLEST).append(ARMED)


@pytest.mark.parametrize(
    ("state", "word"),
    [
        (State.INSTALLING, "installed"),
        (State.ARMED, "armed"),
        (State.PROVING, "booted"),
        (State.GOOD, "proved"),
        (State.ROLLED_BACK, "rolled-back"),
        (State.CHECKING, None),
        (State.DOWNLOADING, None),
        (State.WAITING, None),
    ],
)
def test_what_led_into_a_state_is_what_is_recorded(state: State, word: str | None) -> None:
    found = record_of(machine_in(state))
    assert (found and found.what) == word


def test_a_refusal_is_recorded_with_its_reason_and_a_check_without_result_is_not() -> None:
    refused = advance(machine_in(State.AVAILABLE), event(H.REFUSE, at=LATER, reason="needs version 1.0 first"))
    assert record_of(refused) == Record(LATER, "refused", "1.1", "needs version 1.0 first")
    assert record_of(advance(machine_in(State.CHECKING), event(H.NOTHING))) is None


def test_the_record_of_a_machine_is_the_same_each_time_it_is_made() -> None:
    machine = machine_in(State.ROLLED_BACK)
    assert record_of(machine) == record_of(machine)
    assert record_of(advance(machine, event(H.SETTLE))) is None
