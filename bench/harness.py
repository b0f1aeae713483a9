"""What the harness costs: ``python -m bench.harness [--json]`` (``script/bench harness``).

One image, booted until its slot says that it is up, in turns so that a busy host slows all of them alike:

- raw: QEMU alone on the raw image, with the same processor, memory and firmware
- harness: a machine of the harness, on its honest disk, from ``boot()`` to the line
- cold: the same machine, until it has answered a command
- warm: a machine that goes on where that one was frozen, from ``wake`` until it has answered

Then four such boots as tests of the plugin, by one worker and by two, and what the host itself has to give: two QEMUs alone
beside each other, against one after the other. No two workers can gain more than that. Last the disk alone, of ``bench.disk``.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.disk import MIB, compare
from bench.options import wants_json
from image_builder.api import build_image
from image_builder.errors import BuildError
from qemu_tests.errors import LabError
from qemu_tests.harness.command import command
from qemu_tests.harness.hardware.firmware import find_firmware
from qemu_tests.harness.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFINITION = Path(__file__).parent.parent / "examples" / "minimal.toml"
ROUNDS, BOOTS = 5, 4
PAIR_ROUNDS = 2
DISK_ROUNDS = 3
LIMIT = 1.1
"""How much longer than QEMU alone the harness may take."""
WORKERS_TARGET = 1.6
WORKERS = "one worker to two"
BESIDE = "QEMU alone, in turn to two beside"
_UP = "slotboot: booted"
_SECONDS = 300.0
_TESTS = f"""
import pytest

@pytest.mark.parametrize("number", range({BOOTS}))
def test_boots(slotboot_machine, number):
    slotboot_machine.boot()
    slotboot_machine.wait_for_line({_UP!r})
"""


@dataclass(frozen=True)
class Row:
    """``ratio`` is of the two medians, in seconds, that are named; ``target`` is what it must not pass, or must reach."""

    name: str
    seconds: float
    against: float
    ratio: float
    target: float | None = None


class Warm(NamedTuple):
    """Seconds until a command is answered after power on, for the freezing, and until one is answered after waking."""

    cold: float
    suspend: float
    warm: float


class Bench:
    """The image and the lab that all measurements share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.image = build_image(DEFINITION, folder / "image", version="1").path
        self.lab = Lab.open(folder / "lab")
        self._count = 0

    def _number(self) -> int:
        self._count += 1
        return self._count

    def raw(self, number: int | None = None) -> float:
        """Seconds from the start of QEMU alone to the line."""
        image = self.folder / f"raw-{self._number() if number is None else f'beside-{number}'}.raw"
        shutil.copyfile(self.image, image)
        argv = command(image, "raw", self.lab.accelerator, find_firmware())
        begin = time.monotonic()
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
        ) as qemu:
            try:
                seen = any(_UP in line for line in qemu.stdout or ())
                seconds = time.monotonic() - begin
            finally:
                qemu.kill()
        image.unlink()
        if not seen:
            raise SystemExit(f"bench: QEMU ended before a line with {_UP!r}")
        return seconds

    def harness(self) -> float:
        """Seconds from ``boot()`` to the line."""
        with self.lab.machine(f"m{self._number()}", self.image) as machine:
            begin = time.monotonic()
            machine.boot()
            machine.wait_for_line(_UP, _SECONDS)
            return time.monotonic() - begin

    def warm(self) -> Warm:
        """A cold start, the freezing of that machine, and a warm start from there."""
        number = self._number()
        with self.lab.machine(f"cold{number}", self.image) as machine:
            begin = time.monotonic()
            machine.boot()
            machine.wait_until_ready(_SECONDS)
            machine.run("true", _SECONDS)
            booted = time.monotonic()
            frozen = machine.suspend(self.folder / f"frozen{number}")
            end = time.monotonic()
        woken = time.monotonic()
        with self.lab.wake(f"warm{number}", frozen) as machine:
            machine.run("true", _SECONDS)
            answered = time.monotonic()
        shutil.rmtree(frozen.folder)
        return Warm(booted - begin, end - booted, answered - woken)

    def alone(self, beside: int) -> float:
        """Seconds for ``BOOTS`` boots of QEMU alone, so many at a time."""
        begin = time.monotonic()
        with ThreadPoolExecutor(beside) as pool:
            list(pool.map(self.raw, range(BOOTS)))
        return time.monotonic() - begin

    def workers(self, count: int) -> float:
        """Seconds of a run of pytest with that many workers and ``BOOTS`` boots, all told."""
        tests = self.folder / "test_boots.py"
        tests.write_text(_TESTS)
        words = ["-q", "-p", "no:cacheprovider", "-n", str(count), f"--slotboot-image={self.image}", str(tests)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SLOTBOOT_")}
        argv = [sys.executable, "-m", "pytest", f"--slotboot-accel={self.lab.accelerator.name}", *words]
        begin = time.monotonic()
        done = subprocess.run(argv, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"bench: the tests failed:\n{done.stdout}{done.stderr}")
        return time.monotonic() - begin


def measure(folder: Path) -> list[Row]:
    """All rows."""
    bench = Bench(folder)
    turns = [(bench.raw(), bench.harness(), *bench.warm()) for _ in range(ROUNDS)]
    raw, harness, cold, suspend, warm = (statistics.median(column) for column in zip(*turns, strict=True))
    pairs = [(bench.workers(1), bench.workers(2), bench.alone(1), bench.alone(2)) for _ in range(PAIR_ROUNDS)]
    one, two, in_turn, beside = (statistics.median(column) for column in zip(*pairs, strict=True))
    (folder / "disks").mkdir()
    plain, honest = compare(bench.image, folder / "disks", DISK_ROUNDS, ("raw", "nbd"))
    return [
        Row("harness to raw", harness, raw, harness / raw, LIMIT),
        Row(WORKERS, one, two, one / two, WORKERS_TARGET),
        Row(BESIDE, in_turn, beside, in_turn / beside),
        Row("cold start to warm", cold, warm, cold / warm),
        Row("freezing to a cold start", suspend, cold, suspend / cold),
        Row("honest disk to raw, a boot", honest.boot, plain.boot, honest.boot_ratio),
        Row(f"honest disk to raw, {MIB} MiB", honest.write, plain.write, honest.write_ratio),
    ]


def in_the_way(rows: Sequence[Row]) -> str:
    """What keeps the second worker from its target; empty when nothing does."""
    named = {row.name: row for row in rows}
    workers, host = named[WORKERS], named[BESIDE]
    if workers.ratio >= WORKERS_TARGET:
        return ""
    missed = f"A second worker brings {workers.ratio:.2f} times, not {WORKERS_TARGET}"
    if host.ratio < WORKERS_TARGET:
        return f"{missed}: two QEMUs alone bring no more than {host.ratio:.2f} on this host."
    return f"{missed}, where two QEMUs alone bring {host.ratio:.2f}: the rest is pytest, the plugin and the harness."


def main() -> None:
    """Entry point."""
    as_json = wants_json(
        "harness",
        "What the harness and its disk cost beside QEMU alone, and what a second worker and a warm start bring.",
    )
    try:
        with tempfile.TemporaryDirectory(prefix="slotboot-bench-") as folder:
            rows = measure(Path(folder))
    except (BuildError, LabError, OSError) as error:
        sys.exit(f"bench: {error}")
    if as_json:
        sys.stdout.write(json.dumps({"rows": [asdict(row) for row in rows]}, indent=2) + "\n")
        return
    sys.stdout.write(f"{'':<34} {'s':>7} {'to s':>7} {'ratio':>6} {'target':>7}\n")
    for row in rows:
        target = "" if row.target is None else f"{row.target:.1f}"
        sys.stdout.write(f"{row.name:<34} {row.seconds:>7.1f} {row.against:>7.1f} {row.ratio:>6.2f} {target:>7}\n")
    if reason := in_the_way(rows):
        sys.stdout.write(f"{reason}\n")


if __name__ == "__main__":
    main()
