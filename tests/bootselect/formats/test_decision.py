"""The decision of the selector, as programs and as shells read it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootselect.formats.decision import DECISION_FOR_SHELLS, DECISION_PATH, Decision, slot_of

UNITS = Path(__file__).parents[3] / "bootselect/integration/systemd"
SHELLS = (["dash"], ["bash", "--posix"])
LABELS = {
    "USR-A": "USR-A",
    "": "",
    "it's": "it's",
    "''": "''",
    "'; touch marker; '": "'; touch marker; '",
    '$(touch marker) `touch marker` $HOME \\ "': '$(touch marker) `touch marker` $HOME \\ "',
    "two\nDISK=/dev/evil": "two\\nDISK=/dev/evil",
    "caf\u00e9 \u20ac": "caf\u00e9 \u20ac",
    "half \ud800 \x1b[2J": "half \\ud800 \\x1b[2J",
}


def decision(label: str) -> Decision:
    return Decision("/dev/vda", 3, "/dev/vda3", label, "uuid", "gptprio", 1, 0, 1, "because", watchdog=60)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize(("label", "shown"), LABELS.items())
def test_every_shell_reads_what_was_written_and_runs_none_of_it(
    tmp_path: Path, shell: list[str], label: str, shown: str
) -> None:
    (tmp_path / "decision").write_text(decision(label).to_shell(), encoding="utf-8")
    script = '. ./decision; printf "%s|" "$LABEL" "$DISK" "$PARTITION" "$SUCCESSFUL" "$WATCHDOG" "$PROBLEM"'
    done = subprocess.run([*shell, "-u", "-c", script], capture_output=True, cwd=tmp_path, check=True)
    assert done.stdout.decode() == f"{shown}|/dev/vda|3|1|60||"
    assert done.stderr == b""
    assert [path.name for path in tmp_path.iterdir()] == ["decision"]


@given(label=st.text(alphabet=st.characters()))
def test_json_gives_every_label_back(label: str) -> None:
    text = decision(label).to_json()
    assert text.isascii()
    place = {"disk": "/dev/vda", "partition": 3, "device": "/dev/vda3", "label": label, "partuuid": "uuid"}
    choice = {"policy": "gptprio", "priority": 1, "tries": 0, "successful": 1, "reason": "because", "problem": ""}
    assert json.loads(text) == {**place, **choice, "watchdog": 60}
    assert slot_of(json.loads(text)) == ("/dev/vda", 3)


@given(label=st.text(alphabet=st.characters()))
def test_each_field_stays_on_a_line_of_its_own(label: str) -> None:
    names = [line.partition("='")[0] for line in decision(label).to_shell().splitlines()]
    assert names == [name.upper() for name in Decision._fields]


def test_the_units_start_where_there_is_a_decision() -> None:
    for unit in UNITS.glob("*.service"):
        assert f"ConditionPathExists={DECISION_PATH}\n" in unit.read_text()
    assert Path(DECISION_FOR_SHELLS).parent == Path(DECISION_PATH).parent
