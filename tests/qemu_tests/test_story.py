"""The stage notices when something is not as promised. The scenes themselves need machines; see the suites."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast

import pytest

from qemu_tests.errors import StoryError
from qemu_tests.harness.control import Ready, Result
from qemu_tests.harness.judges import Verdict
from qemu_tests.story import scenes
from qemu_tests.story.materials import Materials
from qemu_tests.story.stage import Expected, Stage
from qemu_tests.story.timeline import Moment, Timeline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from qemu_tests.harness.machine import Machine

SELECTED = "bootselect: booting slot USR-B (partition 3, version 2), now 2/2/0"
ALL_SEE = ("sgdisk: Identified 1 problems", "cgpt: invalid Pri GPT header", "gptlib: error: primary: no header")


def test_a_moment_is_one_line_whatever_the_labels_are() -> None:
    moment = Moment(1.0, "m1", "disk", "as built\x1b[2J", {"x\n\ud800": "1/0/1"})
    assert str(moment) == r"    1.0 s  m1                disk       as built\x1b[2J  x\n\ud800 1/0/1"


class FakeConsole:
    def __init__(self) -> None:
        self.lines = [SELECTED]
        self.boot_mark = 0

    def find_all(self, pattern: str, since: int) -> list[re.Match[str]]:
        return [match for line in self.lines[since:] if (match := re.search(pattern, line))]


class FakeMachine:
    name, boots, tail, state = "m1", 4, ("last words",), "on"

    def __init__(self, log: Path) -> None:
        self.log = log
        self.console = FakeConsole()
        self.ready = Ready("USR-B", "2", "id")
        self.verdict = Verdict({"USR-A": "1/0/1", "USR-B": "2/0/1"}, ())
        self.answers = {
            "cat /etc/os-release": Result(0, 'NAME="x"\nVERSION="2"\nVERSION_ID=2\n'),
            "cat /run/bootselect/decision.json": Result(0, json.dumps({"label": "USR-B", "tries": 2})),
        }

    def wait_until_ready(self) -> Ready:
        return self.ready

    def run(self, command: str, _seconds: float | None) -> Result:
        return self.answers[command]

    def judge(self, *, whole: bool) -> Verdict:
        assert whole is not bool(self.verdict.problems)
        return self.verdict


class Play:
    def __init__(self, tmp_path: Path) -> None:
        self.machine = FakeMachine(tmp_path / "m1.console.log")
        self.told: list[Moment] = []
        self.stage = Stage(cast("Machine", self.machine), Timeline(self.told.append, lambda: 0.0))


@pytest.fixture
def play(tmp_path: Path) -> Play:
    return Play(tmp_path)


UP = Expected("USR-B", "2", 2)


def test_a_slot_that_is_as_promised_is_told(play: Play) -> None:
    play.stage.up(UP)
    assert play.told == [
        Moment(0, "m1", "up", "USR-B is up with version 2, 2 tries left when it started; healthy"),
    ]


@pytest.mark.parametrize(
    ("command", "answer", "found"),
    [
        ("cat /etc/os-release", Result(0, 'VERSION="1"\n'), "expected 2, found 1"),
        ("cat /etc/os-release", Result(1, "cat: no such file"), "expected 0, found 1"),
        (
            "cat /run/bootselect/decision.json",
            Result(0, '{"label": "USR-A", "tries": 2}'),
            "expected USR-B, found USR-A",
        ),
        ("cat /run/bootselect/decision.json", Result(0, '{"label": "USR-B", "tries": 3}'), "expected 2, found 3"),
    ],
)
def test_the_running_system_must_agree_with_its_greeting(play: Play, command: str, answer: Result, found: str) -> None:
    play.machine.answers[command] = answer
    with pytest.raises(StoryError, match=found) as caught:
        play.stage.up(UP)
    assert caught.value.line.startswith("machine m1, boot 4: ")
    assert "    | last words" in str(caught.value)


def test_the_wrong_slot_is_noticed(play: Play) -> None:
    play.machine.ready = Ready("USR-A", "1", "id")
    with pytest.raises(StoryError, match="the slot that greets: expected"):
        play.stage.up(UP)


def test_a_slot_that_was_chosen_and_passed_over_is_noticed(play: Play) -> None:
    play.machine.console.lines.insert(0, SELECTED.replace("USR-B", "USR-A"))
    with pytest.raises(StoryError, match="selector's choice on the console"):
        play.stage.up(UP)


def test_the_disk_is_told_as_the_judges_read_it(play: Play) -> None:
    play.stage.disk(scenes.UPDATED, "marked good")
    assert play.told[0].slots == {"USR-A": "1/0/1", "USR-B": "2/0/1"}
    assert str(play.told[0]).endswith("disk       marked good  USR-A 1/0/1  USR-B 2/0/1")
    with pytest.raises(StoryError, match=r"slots on the disk \(as built\)"):
        play.stage.disk(scenes.FRESH, "as built")


@pytest.mark.parametrize(
    ("problems", "damaged"),
    [
        (ALL_SEE[:2], "primary"),
        (ALL_SEE, "backup"),
        ((*ALL_SEE, "gptlib: error: backup: no header"), "primary"),
    ],
    ids=["one judge is blind", "the wrong copy", "both copies"],
)
def test_damage_must_be_seen_by_all_judges_and_where_it_is(play: Play, problems: tuple[str, ...], damaged: str) -> None:
    play.machine.verdict = Verdict(scenes.UPDATED, ALL_SEE)
    play.stage.disk(scenes.UPDATED, "damaged", damaged="primary")
    play.machine.verdict = Verdict(scenes.UPDATED, problems)
    with pytest.raises(StoryError):
        play.stage.disk(scenes.UPDATED, "damaged", damaged=damaged)


def status(state: str, shown: str) -> Mapping[str, Result]:
    slots = [{"label": "USR-A", "state": state}, {"label": "USR-B", "state": "good"}]
    return {
        "bootselect status --json": Result(0, json.dumps({"slots": slots})),
        "bootselect status": Result(0, f"   2  USR-A  2/0/0  {shown}\n*> 3  USR-B  1/0/1  good\n"),
    }


def test_a_rollback_must_be_told_to_people_and_to_programs(play: Play) -> None:
    play.machine.answers |= status("rolled back", "rolled back  all tries are used up")
    scenes.rolled_back(play.stage)
    assert "2 USR-A 2/0/0 rolled back" in play.told[0].text
    for state, shown in (("rolled back", "bad"), ("bad", "rolled back")):
        play.machine.answers |= status(state, shown)
        with pytest.raises(StoryError):
            scenes.rolled_back(play.stage)


def test_materials_survive_the_way_between_workers(tmp_path: Path) -> None:
    materials = Materials(tmp_path / "a.raw", {"good": tmp_path / "b.update", "panic": tmp_path / "c.update"})
    assert Materials.from_json(json.loads(json.dumps(materials.to_json()))) == materials
