"""Installations that are stopped, anywhere, by real signals: what they leave on the disk, and that they leave nothing else."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.loopdev import LOOP, loop, loops_over, needs_loop
from tests.support import run_tool
from tests.update_agent.updates import GOOD, A, B, TwoSlots, two_slots

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
CONTENT = bytes(range(256)) * 30
_PLAIN = two_slots(20)
LAYOUT = TwoSlots(
    replace(_PLAIN.gpt, entries=_PLAIN.gpt.entries | {B: replace(_PLAIN.gpt.entries[B], attributes=GOOD)})
)
EROFS = LOOP and "erofs" in Path("/proc/filesystems").read_text().split()
needs_erofs = pytest.mark.skipif(not EROFS, reason="no loop devices, or no erofs in this kernel")
NOTHING = "nothing was written"
OUT_OF_USE = "slot USR-B (partition 2) stays out of use (0/0/0)"
DONE = "version 2 is in USR-B (partition 2) and is tried at the next boot"
STATES = {NOTHING: (1, 0, 1), OUT_OF_USE: (0, 0, 0), DONE: (2, 3, 0)}
"""What is said, and the attributes of B then."""
STOPPING = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130}


@pytest.fixture
def medium(update: Callable[..., Path], disks: Path) -> Path:
    """The medium that image-builder makes of an update: an erofs."""
    path = disks / "update.img"
    run_tool("mkfs.erofs", "--quiet", path, update(CONTENT))
    return path


def wait_for(what: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


class Bench:
    """A disk, a medium, and a process that runs ``updatectl`` on them and kills it."""

    def __init__(self, medium: Path, disks: Path) -> None:
        self.medium, self.disk, self.temporary = medium, disks / "disk.img", disks / "tmp"
        self.temporary.mkdir()
        self.before = bytes(LAYOUT.gpt.image())
        self.restore()
        self.words = ["install", str(medium), "--target", str(self.disk), "--slot", "USR-B"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.update_agent.killing"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self.temporary)},
        )

    def restore(self) -> None:
        self.disk.write_bytes(self.before)

    def run(self, at: int = 0, number: int = 0, **more: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        order = {"words": self.words, "at": at, "signal": number, **more}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        self.process.communicate(timeout=60)

    def state(self) -> tuple[int, ...]:
        """Priority, tries and successful of B, as Debian's cgpt reads them."""
        return tuple(int(run_tool("cgpt", "show", "-i", str(B), flag, self.disk)) for flag in ("-P", "-T", "-S"))

    def check_nothing_is_left(self) -> None:
        # A killed process gives up its devices before anybody is told that it ended, but udev may be looking at one.
        wait_for(lambda: not loops_over(self.medium))
        assert " - erofs " not in Path("/proc/self/mountinfo").read_text()
        assert list(self.temporary.iterdir()) == []

    def check_disk(self) -> None:
        """A is as it was, whoever died; B is as before, out of use, or armed and complete."""
        after = self.disk.read_bytes()
        for number in (A, 3):
            assert after[LAYOUT.bytes_of(number)] == self.before[LAYOUT.bytes_of(number)]
        state = self.state()
        assert state in STATES.values()
        if state == STATES[DONE]:
            assert after[LAYOUT.bytes_of(B)].startswith(CONTENT)
        elif state == STATES[NOTHING]:
            assert after[LAYOUT.bytes_of(B)] == self.before[LAYOUT.bytes_of(B)]


@pytest.fixture
def bench(medium: Path, disks: Path) -> Iterator[Bench]:
    made = Bench(medium, disks)
    yield made
    made.close()


def places(bench: Bench, step: int) -> range:
    whole = bench.run()
    assert (whole["status"], bench.state()) == (0, STATES[DONE]), whole
    assert whole["lines"] > 300
    return range(1, whole["lines"] + 1, step)


@pytest.mark.slow
@needs_erofs
def test_killed_anywhere_it_leaves_nothing_but_a_slot_out_of_use(
    bench: Bench, record_property: Callable[[str, object], None]
) -> None:
    found = set()
    lines = places(bench, 3)
    for at in lines:
        bench.restore()
        answer = bench.run(at, signal.SIGKILL)
        assert answer["status"] == -signal.SIGKILL
        assert "Traceback" not in answer["said"]
        bench.check_nothing_is_left()
        bench.check_disk()
        found.add(bench.state())
    assert found == set(STATES.values())
    # After all that nothing is in the way of the next one.
    assert bench.run()["status"] == 0
    record_property("counted", f"installations killed: {len(lines)}, each at another line of code")


@pytest.mark.slow
@needs_erofs
def test_stopped_anywhere_it_says_in_one_line_what_holds(bench: Bench) -> None:
    found = set()
    for place, at in enumerate(places(bench, 5)):
        bench.restore()
        number = list(STOPPING)[place % 3]
        answer = bench.run(at, number)
        told = [line for line in answer["said"].splitlines() if not line.startswith(("writing: ", "verifying: "))]
        if answer["status"] == 0:
            # The handler was not there yet, or is not there any more: the last lines of code are those of an exit.
            pytest.fail(f"{signal.Signals(number).name} before line {at} was lost: {told}")
        if answer["status"] == -number:
            # Before the first line of ``entry.main`` nobody has taken the signals over.
            assert (at <= 20, told) == (True, [])
            continue
        assert answer["status"] == STOPPING[number], answer
        bench.check_nothing_is_left()
        bench.check_disk()
        holds = next(holds for holds, state in STATES.items() if state == bench.state())
        wanted = f"updatectl: stopped by {signal.Signals(number).name}: {holds}"
        # The result is on standard output when the process is stopped on its way out.
        assert told[-1] == wanted
        assert all(line.startswith("version 2 is in USR-B") for line in told[:-1])
        found.add(holds)
    assert found == set(STATES)


@pytest.mark.slow
@needs_erofs
def test_the_table_is_not_cut_in_two_by_a_signal(bench: Bench) -> None:
    """Whatever SIGTERM meets, no damaged copy is left, as a power cut may leave one (and a repair mends)."""
    for at in places(bench, 7):
        bench.restore()
        bench.run(at, signal.SIGTERM)
        judged = run_tool("sgdisk", "--verify", bench.disk)
        assert "No problems found" in judged


@needs_erofs
def test_signals_that_were_ignored_from_the_start_stay_ignored(bench: Bench) -> None:
    """nohup updatectl install ... goes on when the terminal is closed."""
    for at in (100, 400):
        bench.restore()
        assert bench.run(at, signal.SIGHUP, ignored=[signal.SIGHUP])["status"] == 0
        assert bench.state() == STATES[DONE]


@needs_erofs
def test_two_installations_at_once_do_not_touch_each_other_s_medium(bench: Bench, disks: Path) -> None:
    """One stands still in the middle, with its medium open, while another comes, is killed, and a third one is done."""
    entry = [sys.executable, "-m", "update_agent.entry"]
    with bench.disk.open("rb") as file:
        # Whoever holds the lock of the disk keeps the installation waiting for it.
        fcntl.flock(file, fcntl.LOCK_EX)
        with subprocess.Popen([*entry, *bench.words], cwd=ROOT, stderr=subprocess.PIPE, text=True) as waiting:
            wait_for(lambda: loops_over(bench.medium) != "")
            other = disks / "other.img"
            other.write_bytes(bench.before)
            words = [*bench.words[:2], "--target", str(other), "--slot", "USR-B"]
            assert bench.run(250, signal.SIGKILL, words=words)["status"] == -signal.SIGKILL
            assert bench.run(words=words)["status"] == 0
            wait_for(lambda: len(loops_over(bench.medium).split()) == 1)
            assert other.read_bytes()[LAYOUT.bytes_of(B)].startswith(CONTENT)
            fcntl.flock(file, fcntl.LOCK_UN)
            assert waiting.wait(60) == 0
    assert bench.state() == STATES[DONE]
    bench.check_nothing_is_left()


def heed_signals() -> None:
    """Whoever runs the tests (nohup, a background job) may have had these ignored."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.slow
@needs_erofs
@pytest.mark.parametrize("number", [*STOPPING, signal.SIGKILL])
def test_who_waits_for_the_disk_can_be_stopped(bench: Bench, number: signal.Signals) -> None:
    with bench.disk.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        argv = [sys.executable, "-m", "update_agent.entry", *bench.words]
        with subprocess.Popen(
            argv,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_signals,  # noqa: PLW1509
        ) as process:
            wait_for(lambda: loops_over(bench.medium) != "")
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
    name = signal.Signals(number).name
    if number is signal.SIGKILL:
        assert (process.returncode, err) == (-number, "")
    else:
        assert (process.returncode, err) == (STOPPING[number], f"updatectl: stopped by {name}: {NOTHING}\n")
    assert out == ""
    assert bench.disk.read_bytes() == bench.before
    bench.check_nothing_is_left()


@needs_loop
@needs_erofs
def test_a_slot_of_a_device_is_free_again_after_a_kill(bench: Bench) -> None:
    with loop(bench.disk, partitions=True) as device:
        words = [*bench.words[:2], "--target", device, "--slot", "USR-B"]
        lines = bench.run(words=words)["lines"]
        for at in range(lines // 2, lines, lines // 20):
            assert bench.run(at, signal.SIGKILL, words=words)["status"] == -signal.SIGKILL
            assert bench.run(words=words)["status"] == 0
        bench.check_nothing_is_left()
    assert bench.state() == STATES[DONE]


def test_a_closed_pipe_does_not_stop_the_installation(update: Callable[..., Path], disks: Path) -> None:
    """``updatectl install ... 2>&1 | head -1``: who reads the progress may go."""
    disk = disks / "disk.img"
    disk.write_bytes(LAYOUT.gpt.image())
    readable, writable = os.pipe()
    os.close(readable)
    argv = [sys.executable, "-m", "update_agent.entry", "install", str(update(CONTENT)), "--target", str(disk)]
    done = subprocess.run([*argv, "--slot", "2", "--json"], cwd=ROOT, stdout=subprocess.PIPE, stderr=writable)
    os.close(writable)
    assert (done.returncode, json.loads(done.stdout)["partition"]) == (0, B)
    assert run_tool("cgpt", "show", "-i", str(B), "-T", disk) == "3\n"


@pytest.mark.slow
@needs_erofs
@pytest.mark.parametrize("name", ["-o,x", "--", "a b,c=d", "loop\n", "-h"])
def test_no_name_of_a_medium_is_an_option(bench: Bench, name: str) -> None:
    folder = bench.medium.parent / "here"
    folder.mkdir()
    shutil.copy(bench.medium, folder / name)
    argv = [sys.executable, "-m", "update_agent.entry", "install", "--target", str(bench.disk), "--slot", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*argv, "--", name], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert bench.state() == STATES[DONE]
    assert not loops_over(folder / name)
    bench.check_nothing_is_left()
