"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qemu_tests.report.files import read_run
from tests.qemu_tests.inner_pytest import IMAGE, inner_pytest

if TYPE_CHECKING:
    from pathlib import Path

TEST = """
def test_one(slotboot_machine):
    slotboot_machine.boot()
    slotboot_machine.wait_until_ready()

def test_two(slotboot_machines, tmp_path):
    image = tmp_path / "disk.raw"
    image.write_bytes(bytes(4 << 20))
    machine, other = slotboot_machines(image), slotboot_machines(image)
    assert machine.state == other.state == "off"
    assert (machine.name, other.name) == ("two", "two-2")
    machine.log.write_text("Kernel panic")
    raise AssertionError("told to fail")
"""


@pytest.mark.slow
def test_a_failed_test_says_where_its_consoles_are(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    said = inner_pytest(tmp_path, "--slotboot-logs", str(logs), "-k", "two", text=TEST)
    assert "told to fail" in said
    assert "console logs" in said
    folder = logs / "test_inner-test_two"
    assert f"{folder}/two.console.log\n{folder}/two-2.console.log" in said
    assert (folder / "two.console.log").read_text() == "Kernel panic"


@pytest.mark.slow
def test_the_machine_of_the_command_line_needs_an_image(tmp_path: Path) -> None:
    said = inner_pytest(tmp_path, "-k", "one", text=TEST)
    assert "the fixture slotboot_machine needs --slotboot-image IMAGE" in said


MACHINES = (
    IMAGE
    + """
@pytest.mark.parametrize("number", range(4))
def test_boots(slotboot_machines, image, number):
    machine = slotboot_machines(image, f"m{number}")
    machine.boot()
    machine.wait_until_ready()
    machine.power_cut()
    assert number != 3, "told to fail"

@pytest.fixture(scope="module")
def kept(slotboot_lab, tmp_path_factory):
    path = tmp_path_factory.mktemp("image") / "disk.raw"
    path.write_bytes(bytes(4 << 20))
    with slotboot_lab.machine("kept", path) as machine:
        yield machine

def test_first(kept):
    kept.boot()
    kept.wait_until_ready()

def test_second(kept, slotboot_recorder):
    from qemu_tests.report.model import Verdict
    from qemu_tests.report.recorder import ReplayCounter

    kept.power_cut()
    counter = ReplayCounter("a replay", "all", [Verdict("boots")])
    counter.write("sector 1")
    counter.count("boots", 7)
    slotboot_recorder.replay(counter.replay())

def test_without_a_machine():
    pass
"""
)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n", "2", "--dist", "loadfile")], ids=["one process", "xdist"])
def test_a_run_leaves_a_report_of_its_machines(tmp_path: Path, workers: tuple[str, ...]) -> None:
    page = tmp_path / "new" / "report.html"
    said = inner_pytest(tmp_path, f"--slotboot-report={page}", *workers, text=MACHINES)
    assert "1 failed, 6 passed" in said
    assert f"what happened to the machines: {page}" in said
    assert page.read_text().startswith("<!DOCTYPE html>")
    run = read_run(page.with_suffix(".json"))
    found = {machine.name: machine for machine in run.machines}
    assert sorted(found) == ["kept", "m0", "m1", "m2", "m3"]
    assert [found[f"m{number}"].verdict for number in range(4)] == ["passed", "passed", "passed", "failed"]
    assert found["m3"].error.startswith("call: AssertionError: told to fail")
    assert found["m0"].test == "test_inner.py::test_boots[0]"
    for machine in run.machines:
        (boot,) = machine.boots
        assert (boot.slot, boot.outcome, boot.ending) == ("FAKE", "healthy", "power cut")
        assert "slotboot: booted slot=FAKE" in boot.console
        assert boot.end is not None
        assert 0 <= boot.begin <= boot.end <= run.seconds
    assert [(replay.name, replay.states) for replay in run.replays] == [("a replay", 7)]
    assert run.notes == ("booted with tcg: chosen with --slotboot-accel",)


@pytest.mark.slow
def test_a_report_that_cannot_be_written_fails_the_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    passes = "def test_passes():\n    pass\n"
    said = inner_pytest(tmp_path, "--slotboot-report=file/report.html", "-v", text=passes, fails=True)
    assert "slotboot: " in said
    assert "cannot write the report" in said
    said = inner_pytest(tmp_path, "--slotboot-report=report.json", text=passes, fails=True)
    assert "report.json cannot be the page" in said
