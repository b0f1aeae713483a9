"""Signals become one exception that cannot be lost, and what is temporary is on a list before it is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.image_builder.processes import assert_gone

ROOT = Path(__file__).parents[2]


def python(script: str, *words: str | Path) -> tuple[int, str]:
    argv = [sys.executable, "-c", script, *words]
    done = subprocess.run(argv, cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    return done.returncode, done.stderr


BEGIN = """
import os, signal, sys, threading
from pathlib import Path
from image_builder import stop
from image_builder.cache import replacing, temporary, working_folder
from image_builder.run import SystemRunner

def strike():
    os.kill(os.getpid(), signal.SIGTERM)
"""
LINE = "program: stopped by SIGTERM: no half-written file is left\n"


def test_a_signal_that_strikes_in_a_destructor_is_not_lost() -> None:
    script = """
class Bad:
    def __del__(self):
        strike()

with stop.stoppable("program"):
    Bad()
    SystemRunner().run(["true"])
    os.write(2, b"not stopped\\n")
"""
    assert python(BEGIN + script) == (143, LINE)


def test_a_signal_that_strikes_at_the_very_end_counts_too() -> None:
    script = """
class Bad:
    def __del__(self):
        strike()

with stop.stoppable("program"):
    Bad()
"""
    assert python(BEGIN + script) == (143, LINE)


def test_a_signal_that_strikes_while_a_folder_is_being_made_leaves_none(tmp_path: Path) -> None:
    script = """
mkdir = Path.mkdir

def slow(self, *words, **keywords):
    mkdir(self, *words, **keywords)
    strike()

Path.mkdir = slow
with stop.stoppable("program"), working_folder(Path(sys.argv[1])):
    os.write(2, b"not stopped\\n")
"""
    assert python(BEGIN + script, tmp_path) == (143, LINE)
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_strikes_in_a_clean_up_does_not_break_it(tmp_path: Path) -> None:
    script = """
import shutil
rmtree = shutil.rmtree

def slow(path, *words, **keywords):
    (Path(path) / "one").unlink(missing_ok=True)
    strike()
    rmtree(path, *words, **keywords)

shutil.rmtree = slow
with stop.stoppable("program"), working_folder(Path(sys.argv[1])) as folder:
    (folder / "one").touch()
    (folder / "two").touch()
"""
    assert python(BEGIN + script, tmp_path) == (143, LINE)
    assert list(tmp_path.iterdir()) == []


def test_threads_that_work_side_by_side_end_with_their_programs(tmp_path: Path) -> None:
    script = """
from concurrent.futures import ThreadPoolExecutor
place = Path(sys.argv[1])

def piece(number):
    with replacing(place / str(number)) as temporary:
        SystemRunner().run(["sh", "-c", 'echo half > "$1"; echo >> "$2"; sleep 3600', "sh", str(temporary), str(place / "fifo")])

fifo = os.open(place / "fifo", os.O_RDWR)

def after():
    for _ in range(2):
        os.read(fifo, 1)
    strike()

threading.Thread(target=after).start()
with stop.stoppable("program"), ThreadPoolExecutor(2) as pool:
    for done in [pool.submit(piece, number) for number in range(4)]:
        done.result()
"""
    os.mkfifo(tmp_path / "fifo")
    assert python(BEGIN + script, tmp_path) == (143, LINE)
    assert [path.name for path in tmp_path.iterdir()] == ["fifo"]


def test_an_error_that_a_killed_program_causes_is_not_shown() -> None:
    script = """
with stop.stoppable("program"):
    try:
        SystemRunner().run(["sh", "-c", "kill -TERM $PPID; sleep 3600"])
    except Exception as error:
        os.write(2, f"{error}\\n".encode())
"""
    assert python(BEGIN + script) == (143, LINE)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_afterwards_the_handlers_are_those_of_before(number: int) -> None:
    script = f"""
before = signal.getsignal({number}), signal.getsignal(signal.SIGALRM), sys.unraisablehook
with stop.stoppable("program"):
    assert signal.getsignal({number}) != before[0]
assert (signal.getsignal({number}), signal.getsignal(signal.SIGALRM), sys.unraisablehook) == before
"""
    assert python(BEGIN + script) == (0, "")


def test_in_another_thread_than_the_main_one_nothing_is_taken_over() -> None:
    script = """
def work():
    with stop.stoppable("program"):
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        print("worked", file=sys.stderr)

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    assert python(BEGIN + script) == (0, "worked\n")


@pytest.mark.parametrize("first", ["true", "trap '' TERM"], ids=["obedient", "deaf to SIGTERM"])
def test_a_program_ends_with_all_that_it_has_started(first: str) -> None:
    word = f"3600.{os.getpid()}"
    script = """
stop.GRACE = 0.5
first, word = sys.argv[1:]
with stop.stoppable("program"):
    SystemRunner().run(["sh", "-c", f"{first}; sleep {word} & sleep {word} & kill -TERM $PPID; wait"])
"""
    assert python(BEGIN + script, first, word) == (143, LINE)
    assert_gone(word)


def test_a_program_may_clean_up_before_it_is_killed(tmp_path: Path) -> None:
    script = """
clean = "trap 'echo > $1/cleaned; exit 1' TERM; kill -TERM $PPID; for each in 1 2 3 4 5 6 7 8 9; do sleep 0.1; done"
with stop.stoppable("program"):
    SystemRunner().run(["sh", "-c", clean, "sh", sys.argv[1]])
"""
    assert python(BEGIN + script, tmp_path) == (143, LINE)
    assert (tmp_path / "cleaned").exists()


def test_an_interrupt_without_our_handlers_ends_the_program_too(tmp_path: Path) -> None:
    word = f"3600.{os.getpid()}"
    os.mkfifo(tmp_path / "fifo")
    script = """
place, word = sys.argv[1:]
fifo = os.open(f"{place}/fifo", os.O_RDWR)

def strike_later():
    os.read(fifo, 1)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=strike_later).start()
try:
    deaf = f"(trap '' TERM; exec sleep {word}) & sleep 0.2"
    SystemRunner().run(["sh", "-c", f"trap 'echo > {place}/cleaned; exit 1' TERM; {deaf}; echo > {place}/fifo; wait"])
except KeyboardInterrupt:
    os.write(2, b"interrupted")
"""
    assert python(BEGIN + script, tmp_path, word) == (0, "interrupted")
    assert (tmp_path / "cleaned").exists()
    assert_gone(word)
