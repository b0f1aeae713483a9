"""The recorder, and machines that tell it what becomes of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qemu_tests.errors import ImageError, MachineDiedError, UnexpectedBoundaryError
from qemu_tests.harness.disk.faults import BadSector
from qemu_tests.report.model import Verdict
from qemu_tests.report.recorded import RecordedLab
from qemu_tests.report.recorder import HEAD, TAIL, Recorder, ReplayCounter, judged, merge
from qemu_tests.report.tables import read_table, table_of
from qemu_tests.story import timeline as kinds
from qemu_tests.story.reporting import report_to
from qemu_tests.story.timeline import Timeline
from tests.qemu_tests.fakes import fake_lab
from tests.qemu_tests.report import sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from qemu_tests.harness.lab import Lab
    from tests.support import SlotImage


class Clock:
    def __init__(self, at: float = 100.0) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorder(clock: Clock) -> Recorder:
    return Recorder("a run", clock=clock, now=lambda: datetime(2026, 11, 25, 18, tzinfo=UTC))


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> Lab:
    plain = fake_lab(tmp_path, monkeypatch)
    return RecordedLab.over(plain, recorder)


@pytest.fixture
def image(slot_image: Callable[..., SlotImage]) -> Path:
    return slot_image((1, 0, 1), (2, 3, 0)).path


def test_a_life_of_reboots_and_power_cuts(lab: Lab, image: Path, recorder: Recorder, clock: Clock) -> None:
    recorder.test = "test_life"
    with lab.machine("m1", image) as machine:
        machine.boot(faults=[BadSector(7)])
        clock.at += 10
        machine.wait_until_ready()
        clock.at += 5
        machine.reboot()
        machine.judge()
        machine.resume("second try")
        machine.wait_until_ready()
        clock.at += 1
        machine.power_cut()
        machine.boot(reason="power is back")
        machine.wait_until_ready()
        machine.power_off()
    (found,) = recorder.run().machines
    assert (found.name, found.test) == ("m1", "test_life")
    assert [(boot.number, boot.reason, boot.begin, boot.up, boot.end) for boot in found.boots] == [
        (1, "power on", 0, 10, 15),
        (2, "second try", 15, 15, 16),
        (3, "power is back", 16, 16, 16),
    ]
    assert [(boot.slot, boot.version, boot.outcome, boot.ending) for boot in found.boots] == [
        ("FAKE", "1", "healthy", "reboot"),
        ("FAKE", "2", "healthy", "power cut"),
        ("FAKE", "1", "healthy", "poweroff"),
    ]
    for boot in found.boots:
        for table in (boot.before, boot.after):
            assert table is not None
            assert [(slot.label, slot.attributes) for slot in table.slots] == [("USR-A", "1/0/1"), ("USR-B", "2/3/0")]
    for boot, version in zip(found.boots, (1, 2, 1), strict=True):
        assert boot.console.count("slotboot: booted") == 1
        assert f"version={version}" in boot.console
        assert f"boot {boot.number}: {boot.reason}" in boot.console
    assert [(event.kind, event.text) for event in found.events] == [
        ("fault", "to come: BadSector(sector=7, operation='write')"),
        ("disk", "read by cgpt and sgdisk and gptlib"),
        ("power cut", "the power was cut"),
    ]


def test_a_table_that_changes_is_seen_before_and_after(lab: Lab, image: Path, recorder: Recorder) -> None:
    with lab.machine("m1", image) as machine:
        machine.boot()
        machine.power_cut()
        machine.disk.write_zeros(512, 33 * 512)
        machine.boot()
    first, second = recorder.run().machines[0].boots
    assert first.after is not None
    assert first.after.problems == ()
    assert second.before is not None
    assert any("primary" in problem for problem in second.before.problems)
    assert second.ending == "off"


def test_a_boot_that_ends_while_it_is_waited_for_has_failed(lab: Lab, image: Path, recorder: Recorder) -> None:
    with lab.machine("m1", image) as machine:
        machine.boot()
        machine.wait_for_line("booted")
        machine.order("reboot")
        with pytest.raises(UnexpectedBoundaryError):
            machine.wait_for_line("never")
    (boot,) = recorder.run().machines[0].boots
    assert (boot.outcome, boot.ending) == ("failed", "reboot")
    assert boot.after is not None


def test_a_machine_that_dies_is_told_with_the_error(lab: Lab, image: Path, recorder: Recorder) -> None:
    def die() -> None:
        with lab.machine("m1", image) as machine:
            machine.boot()
            machine.wait_until_ready()
            machine.run("die")

    with pytest.raises(MachineDiedError):
        die()
    (machine,) = recorder.run().machines
    assert (machine.boots[0].outcome, machine.boots[0].ending) == ("failed", "died")
    assert machine.boots[0].console.endswith("last words")
    assert machine.verdict == "failed"
    assert "QEMU exited with 3" in machine.error


def test_a_boot_that_never_began_is_told_too(lab: Lab, image: Path, recorder: Recorder) -> None:
    machine = lab.machine("m1", image)
    with pytest.raises(ImageError):
        machine.boot(medium=Path("none.update"))
    machine.close()
    assert recorder.run().machines[0].boots[0].ending == "off"


def test_the_words_of_a_story_go_to_what_the_machine_told(lab: Lab, image: Path, recorder: Recorder) -> None:
    timeline = Timeline(report_to(recorder))
    with lab.machine("m1", image) as machine:
        timeline.tell("m1", kinds.SCENE, "a scene")
        timeline.tell("m1", kinds.BOOT, "power on")
        machine.boot()
        timeline.tell("m1", kinds.DISK, "as built", machine.judge().slots)
        timeline.tell("m1", kinds.DISK, "still so", {"USR-A": "1/0/1"})
        machine.power_cut()
        timeline.tell("m1", kinds.CUT, "half of it is written")
        timeline.tell("m1", kinds.FAILED, "no slot came up")
        timeline.tell("nobody", kinds.SCENE, "a machine that is not watched")
    (found,) = recorder.run().machines
    assert [(event.kind, event.text) for event in found.events] == [
        ("scene", "a scene"),
        ("disk", "as built"),
        ("disk", "still so"),
        ("power cut", "half of it is written"),
        ("failed", "no slot came up"),
    ]
    assert found.events[1].table is not None
    assert found.events[1].table.readers == ("cgpt", "sgdisk", "gptlib")
    assert found.boots[0].outcome == "failed"


def test_a_slot_that_never_came_up_is_known_from_the_console(tmp_path: Path, recorder: Recorder) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"what was before")
    record = recorder.record("m1")
    record.boot("try 1", log=log)
    with log.open("ab") as file:
        file.write(sample.console("USR-B").encode() + b"Kernel panic - not syncing: sysrq\r\n\xff")
    record.boot("try 2", log=log)
    record.finish()
    log.unlink()
    first, second = recorder.run().machines[0].boots
    assert (first.slot, first.version, first.outcome, first.ending) == ("USR-B", "3", "failed", "reboot")
    assert first.console.endswith("sysrq\r\n\ufffd")
    assert "before" not in first.console
    assert (second.console, second.outcome, second.ending) == ("", "unknown", "off")


def test_of_an_endless_console_beginning_and_end_are_kept(tmp_path: Path, recorder: Recorder) -> None:
    log = tmp_path / "log"
    record = recorder.record("m1")
    record.boot("power on", log=log)
    log.write_bytes(b"first\n" + b"flood\n" * (2 << 20) + b"last\n")
    record.finish()
    console = recorder.run().machines[0].boots[0].console
    assert console.startswith("first\n")
    assert console.endswith("last\n")
    assert "bytes are left out here" in console
    assert len(console) < HEAD + TAIL + 100


def test_what_is_taken_is_not_given_again_and_a_machine_may_come_back(
    lab: Lab, image: Path, recorder: Recorder
) -> None:
    machine, other = lab.machine("m1", image), lab.machine("m2", image)
    machine.boot()
    machine.close()
    other.boot()
    assert [found.name for found in recorder.take().machines] == ["m1"]
    recorder.test = "the next one"
    machine.boot()
    for each in (machine, other):
        each.close()
    assert [(found.name, found.test, len(found.boots)) for found in recorder.take().machines] == [
        ("m2", "", 1),
        ("m1", "the next one", 1),
    ]


def test_runs_of_several_processes_become_one_with_one_clock() -> None:
    clock, began = Clock(), datetime(2026, 11, 25, 18, tzinfo=UTC)
    runs = []
    for worker, late in enumerate((3.0, 0.0)):
        recorder = Recorder(f"w{worker}", ["tcg"], clock=clock, now=lambda late=late: began + timedelta(seconds=late))  # type: ignore[misc]
        record = recorder.record(f"m{worker}")
        record.boot("power on")
        record.up("USR-A")
        record.tell("note", "x")
        record.finish()
        runs.append(recorder.take())
    run = merge("all", runs)
    assert (run.began, run.seconds, run.notes) == ("2026-11-25T18:00:00.000000+00:00", 3.0, ("tcg",))
    assert [(m.boots[0].begin, m.boots[0].up, m.boots[0].end, m.events[0].at) for m in run.machines] == [
        (3.0,) * 4,
        (0.0,) * 4,
    ]


def test_verdicts_are_put_on_the_machines_of_their_tests() -> None:
    run = judged(sample.full(), {"tests/test_update.py::test_rollback": ("failed", "call: told to")})
    assert [(machine.verdict, machine.error[:12]) for machine in run.machines] == [
        ("failed", "call: told to"[:12]),
        ("failed", "machine cut,"),
    ]


def test_states_of_a_replay_are_counted_by_write() -> None:
    counter = ReplayCounter("install", "all subsets", [Verdict("old"), Verdict("none", bad=True)])
    counter.write("header")
    counter.count("old", 12)
    counter.write("flush")
    counter.count("old")
    counter.count("none")
    with pytest.raises(KeyError):
        counter.count("new")
    replay = counter.replay()
    assert [(write.number, write.text, write.states) for write in replay.writes] == [
        (1, "header", (12, 0)),
        (2, "flush", (1, 1)),
    ]
    assert (replay.states, replay.bad_states) == (14, 1)


def test_a_disk_without_a_table_is_a_problem_and_no_error(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(bytes(4 << 20))
    table = read_table(tmp_path / "empty")
    assert table.slots == ()
    assert table.problems
    assert read_table(tmp_path / "none").problems


def test_what_judges_say_must_be_of_their_form() -> None:
    with pytest.raises(ValueError, match="USR-A: '1/0' is not of the form P/T/S"):
        table_of({"USR-A": "1/0"}, ())
