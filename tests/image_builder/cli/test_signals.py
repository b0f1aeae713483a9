"""A build that is told to stop leaves nothing behind: no program, no file, no traceback."""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from image_builder.cache import cache_root
from tests.image_builder.processes import assert_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
MINIMAL = ROOT / "examples/minimal.toml"
TOOLS = ("objdump", "objcopy", "lz4", "mkfs.erofs", "mkfs.fat", "mmd", "mcopy", "mkfs.ext4")
SLOW = """#!/bin/sh
sleep {marker} &
echo {name} > {fifo}
sleep 0.1
kill $!
{real} "$@"
"""
DEAF = "#!/bin/sh\ntrap '' TERM\nsleep {marker} &\necho {name} > {fifo}\nwhile :; do sleep 1; done\n"
LAST = 30.0
"""Seconds; the longest that anything may take here."""


class Place:
    """Slow tools, an output folder, a folder for temporary files, and a cache that has only the packages already."""

    def __init__(self, folder: Path, script: str = SLOW) -> None:
        self.folder, self.marker = folder, f"3600.{os.getpid()}{random.randrange(10**6)}"
        self._builds: list[subprocess.Popen[str]] = []
        for name in ("tools", "out", "tmp", "cache"):
            (folder / name).mkdir()
        for name in ("target", "python"):
            (folder / "cache" / name).symlink_to(cache_root() / name)
        os.mkfifo(folder / "fifo")
        # For reading and writing, so that neither side waits for the other to open it.
        self._fifo = os.open(folder / "fifo", os.O_RDWR)
        for name in TOOLS:
            real = "exec cat;" if name == "lz4" else f"exec {shutil.which(name, path='/usr/sbin:/usr/bin')}"
            tool = folder / "tools" / name
            tool.write_text(script.format(name=name, real=real, fifo=folder / "fifo", marker=self.marker))
            tool.chmod(0o755)

    def close(self) -> None:
        os.close(self._fifo)
        for build in self._builds:
            build.kill()
            build.communicate()

    def build(self) -> subprocess.Popen[str]:
        environ = {
            **os.environ,
            "PATH": f"{self.folder}/tools:{os.environ['PATH']}",
            "TMPDIR": str(self.folder / "tmp"),
            "SLOTBOOT_CACHE": str(self.folder / "cache"),
        }
        argv: list[str | Path] = [
            Path(sys.executable).with_name("image-builder"),
            "build",
            MINIMAL,
            "-o",
            self.folder / "out",
        ]
        build = subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)
        self._builds.append(build)
        return build

    def wait_for_tools(self, count: int) -> None:
        seen = b""
        while seen.count(b"\n") < count:
            assert select.select([self._fifo], [], [], LAST)[0], seen
            seen += os.read(self._fifo, 100)

    def left(self) -> list[str]:
        """All that a build that was stopped may not leave."""
        files = [path for name in ("out", "tmp", "cache") for path in (self.folder / name).rglob("*")]
        return [
            str(path.relative_to(self.folder))
            for path in files
            if path.name.startswith(".slotboot-") or path.relative_to(self.folder).parts[0] != "cache"
        ]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


def assert_stopped(place: Place, build: subprocess.Popen[str], number: int) -> None:
    out, err = build.communicate(timeout=LAST)
    assert (build.returncode, out) == (128 + number, "")
    assert "Traceback" not in err
    assert "Exception" not in err
    last = err.splitlines()[-1]
    assert last == f"image-builder: stopped by {signal.Signals(number).name}: no half-written file is left"
    assert [line for line in err.splitlines() if line.startswith("image-builder: ")] == [last]
    assert place.left() == []
    assert_gone(place.marker)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("seed", range(7))
def test_a_signal_at_any_moment_leaves_nothing(place: Place, number: int, seed: int) -> None:
    chosen = random.Random(100 * number + seed)
    build = place.build()
    place.wait_for_tools(chosen.randrange(1, 10))
    try:
        build.wait(chosen.random() * 0.25)
    except subprocess.TimeoutExpired:
        build.send_signal(number)
    assert_stopped(place, build, number)


@pytest.mark.slow
def test_signals_upon_signals_do_not_break_the_clean_up(place: Place) -> None:
    build = place.build()
    place.wait_for_tools(4)
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    while build.poll() is None:
        for number in numbers:
            build.send_signal(number)
    # The kernel hands them to any thread, so any of them may be the first that Python sees.
    first = build.returncode - 128
    assert first in numbers
    assert_stopped(place, build, first)


@pytest.mark.slow
def test_a_program_that_is_deaf_to_sigterm_is_killed(tmp_path: Path) -> None:
    place = Place(tmp_path, DEAF)
    build = place.build()
    place.wait_for_tools(1)
    build.send_signal(signal.SIGTERM)
    assert_stopped(place, build, signal.SIGTERM)
    place.close()


@pytest.mark.slow
def test_a_signal_that_is_ignored_stays_ignored(place: Place) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        build = place.build()
    finally:
        signal.signal(signal.SIGHUP, before)
    place.wait_for_tools(2)
    build.send_signal(signal.SIGHUP)
    out, err = build.communicate(timeout=LAST)
    assert (build.returncode, out) == (0, f"{place.folder}/out/minimal.raw\n"), err
    assert [path.name for path in (place.folder / "out").iterdir()] == ["minimal.raw"]
    assert list((place.folder / "tmp").iterdir()) == []


@pytest.mark.slow
def test_the_next_build_clears_away_what_a_killed_one_left(place: Place) -> None:
    build = place.build()
    place.wait_for_tools(4)
    build.kill()
    build.communicate(timeout=LAST)
    assert place.left()
    again = place.build()
    assert again.communicate(timeout=LAST)[0] == f"{place.folder}/out/minimal.raw\n"
    # TMPDIR is swept by nobody: what was there, the killed build had asked for by itself.
    assert [name for name in place.left() if not name.startswith("tmp/")] == ["out/minimal.raw"]
