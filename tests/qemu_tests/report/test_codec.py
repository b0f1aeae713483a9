"""A run as JSON and back, and everything that is no run."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu_tests.report.codec import from_json, to_json
from qemu_tests.report.errors import ReportFileError, ReportFormatError
from qemu_tests.report.files import read_run, write_report
from qemu_tests.report.model import Boot, Event, Machine, Replay, Run, Screenshot, Slot, Table, Verdict, Write
from tests.qemu_tests.report import sample

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TIMES = st.floats(0, 1e6, allow_nan=False)
TEXTS = st.text(st.characters(), max_size=20)
SLOTS = st.builds(Slot, TEXTS, st.integers(0, 15), st.integers(0, 15), st.booleans(), st.none() | st.integers(1, 128))
TABLES = st.builds(
    Table, st.lists(SLOTS, max_size=2).map(tuple), st.just(("gptlib",)), st.lists(TEXTS, max_size=1).map(tuple)
)
BOOTS = st.builds(
    Boot, st.integers(1, 9), TEXTS, st.just(0.0), st.none() | TIMES, st.none() | TIMES, TEXTS, before=st.none() | TABLES
)
MACHINES = st.builds(
    Machine,
    TEXTS,
    boots=st.lists(BOOTS, max_size=2).map(tuple),
    events=st.lists(st.builds(Event, TIMES, TEXTS, TEXTS, st.none() | TABLES), max_size=2).map(tuple),
    screenshots=st.lists(
        st.builds(Screenshot, TIMES, TEXTS, st.binary().map(lambda data: sample.png() + data)), max_size=1
    ).map(tuple),
)
REPLAYS = st.builds(
    Replay, TEXTS, TEXTS, st.just((Verdict("a"), Verdict("b", bad=True))), st.just((Write(1, "x", (2, 3)),))
)
RUNS = st.builds(
    Run, TEXTS, TEXTS, TIMES, st.lists(MACHINES, max_size=2).map(tuple), st.lists(REPLAYS, max_size=1).map(tuple)
)


@given(RUNS)
def test_nothing_is_lost_on_the_way(run: Run) -> None:
    text = to_json(run)
    assert text.isascii()
    assert from_json(text) == run


def test_the_names_in_the_json_are_those_of_the_model() -> None:
    fields = json.loads(to_json(sample.full()))
    assert (fields["format"], fields["version"]) == ("slotboot report", 1)
    boot = fields["machines"][0]["boots"][0]
    assert boot["before"]["slots"][1] == {
        "label": "USR-B",
        "priority": 2,
        "tries": 3,
        "successful": False,
        "partition": 3,
    }
    assert fields["replays"][0]["writes"][76] == {
        "number": 77,
        "text": "4 sectors at 616 of the disk",
        "states": [146, 77, 1],
    }


def changed(change: Callable[[Any], object]) -> str:
    fields = json.loads(to_json(sample.full()))
    change(fields)
    return json.dumps(fields)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "no JSON: Expecting value"),
        ("[" * 100_000, "no JSON: "),
        ("[1]", "format: the top is not an object with the format 'slotboot report'"),
        ('{"format": "slotboot report", "version": 2}', "version: 2; this slotboot reads version 1"),
        (changed(lambda run: run.pop("title")), "top: missing: 'title'"),
        (changed(lambda run: run.update(colour=1)), "top: unknown: 'colour'"),
        (changed(lambda run: run.update(seconds="1")), "seconds: expected a number, found '1'"),
        (changed(lambda run: run.update(seconds=True)), "seconds: expected a number, found True"),
        (changed(lambda run: run.update(seconds=math.nan)), "seconds: expected a number, found nan"),
        (changed(lambda run: run.update(seconds=10**400)), "seconds: expected a number, found 1000"),
        (changed(lambda run: run.update(seconds=-1)), "top: -1.0 is not a number of seconds"),
        (changed(lambda run: run.update(notes="x")), "notes: expected a list, found 'x'"),
        (changed(lambda run: run["machines"].append(3)), "machines[2]: expected an object, found 3"),
        (
            changed(lambda run: run["machines"][1]["boots"][0]["before"]["slots"][1].update(priority=16)),
            "machines[1].boots[0].before.slots[1]: priority is 16; it must be between 0 and 15",
        ),
        (
            changed(lambda run: run["machines"][0]["boots"][0].update(number=1.5)),
            "boots[0].number: expected a whole number",
        ),
        (changed(lambda run: run["machines"][0]["boots"][0].update(outcome="?")), "the outcome '?' is not one of"),
        (changed(lambda run: run["machines"][0]["boots"][0].update(end=1)), "boot 1 ends at 1.0 s, before it begins"),
        (
            changed(lambda run: run["machines"][0]["screenshots"][0].update(png="*")),
            "screenshots[0].png: expected base64",
        ),
        (changed(lambda run: run["machines"][0]["screenshots"][0].update(png="R0lG")), "a screenshot is not a PNG"),
        (
            changed(lambda run: run["replays"][0]["writes"][0].update(states=[1])),
            "write 1 has 1 numbers of states for 3",
        ),
        (changed(lambda run: run["replays"][0]["writes"][0].update(states=[1, 2, -1])), "a negative number of states"),
    ],
)
def test_what_is_no_report_is_refused_in_a_line(text: str, line: str) -> None:
    with pytest.raises(ReportFormatError) as caught:
        from_json(text, "a.json")
    assert caught.value.line.startswith("a.json: no report of slotboot: ")
    assert line in caught.value.line
    assert "\n" not in caught.value.line


def test_page_and_json_stand_beside_each_other(tmp_path: Path) -> None:
    data = write_report(sample.full(), tmp_path / "new" / "report.html")
    assert sorted(path.name for path in data.parent.iterdir()) == ["report.html", "report.json"]
    assert read_run(data) == sample.full()


def test_a_page_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ReportFileError, match="cannot write the report: Is a directory"):
        write_report(sample.full(), tmp_path / "report.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    (tmp_path / "file").write_text("as it was")
    with pytest.raises(ReportFileError, match=r"cannot write the report: (Not a directory|File exists)"):
        write_report(sample.full(), tmp_path / "file" / "report.html")
    assert (tmp_path / "file").read_text() == "as it was"


def test_the_page_is_not_written_over_its_json(tmp_path: Path) -> None:
    with pytest.raises(ReportFileError, match=r"give one that ends with \.html"):
        write_report(sample.full(), tmp_path / "report.json")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ReportFileError, match="cannot read the report: No such file"):
        read_run(tmp_path / "none.json")
    (tmp_path / "picture").write_bytes(sample.png())
    with pytest.raises(ReportFormatError, match="no text"):
        read_run(tmp_path / "picture")
