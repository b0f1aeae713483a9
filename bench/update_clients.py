"""Those who install the new slot for ``bench.update``: the agent, the bare programs, casync and zchunk, from the same server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measured import Cost, measured, measured_output
from gptlib import Disk
from gptlib.cli.main import main as gptctl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.update_images import Images
    from bench.update_server import Counter

MIB = 1 << 20
_ROOT = Path(__file__).parent.parent
_PLAIN = {"LC_ALL": "C", "PYTHONPATH": str(_ROOT), "no_proxy": "*"}
FULL, DELTA, PROGRAMS = "slotboot, whole", "slotboot, difference", "curl | zstd -d | dd"
CASYNC, ZCHUNK = "casync, chunks of {}K", "zchunk"


@dataclass(frozen=True)
class Installed:
    """What an installation cost; ``fetched``: bytes of bodies, ``requests`` their number, ``loaded``: seconds that a program took to start."""

    cost: Cost
    fetched: int
    requests: int
    loaded: float = 0.0


class Place:
    """A disk with the old slot and room for the new one, and the server's address."""

    def __init__(self, images: Images, url: str, counter: Counter) -> None:
        self.images, self._url, self._counter = images, url, counter
        self.disk = images.folder / "disk"
        self._start = _disk(self.disk, images)

    def clients(self) -> Mapping[str, Callable[[], Installed]]:
        """Who can be measured here, whole images first."""
        found: dict[str, Callable[[], Installed]] = {PROGRAMS: self.programs, FULL: self.agent, DELTA: self.difference}
        if shutil.which("casync"):
            for size in (64, 16):
                found[CASYNC.format(size)] = lambda size=size: self.casync(size)  # type: ignore[misc]
        if shutil.which("zck") and shutil.which("zckdl"):
            found[ZCHUNK] = self.zchunk
        return found

    def programs(self) -> Installed:
        """The frames are what zstd unpacks; dd flushes at the end."""
        write = f"dd of={self.disk} bs=1M iflag=fullblock seek={self._start} oflag=seek_bytes conv=notrunc,fsync status=none"
        return self._counted(lambda: self._run("sh", "-c", f"curl -sS {self._url}/full.frames | zstd -dcq | {write}"))

    def agent(self) -> Installed:
        """The whole image."""
        return self._client()

    def difference(self) -> Installed:
        """By the difference to the slot of partition 1."""
        return self._client("1")

    def casync(self, size: int) -> Installed:
        """With the old slot as its seed."""
        folder, index = self.images.folder, f"{size}.caibx"
        make = ("casync", "make", f"--chunk-size={size * 1024}", "--compression=zstd")
        self._run(*make, f"--store={folder}/{size}.castr", str(folder / index), str(self.images.new))
        output = folder / "casync.slot"
        output.unlink(missing_ok=True)
        extract = ("casync", "extract", f"--store={self._url}/{size}.castr", f"--seed={self.images.old}")
        done = self._counted(lambda: self._run(*extract, f"{self._url}/{index}", str(output)))
        return self._right(done, output)

    def zchunk(self) -> Installed:
        """With the old slot as a file of its own kind, which a machine would have to keep; unpacked at the end."""
        folder = self.images.folder
        work = folder / "zchunk"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        for name in ("old", "new"):
            self._run("zck", "-o", str(folder / f"{name}.zck"), str(folder / f"{name}.slot"))
        fetch = ("zckdl", "-q", "-s", str(folder / "old.zck"), f"{self._url}/new.zck")
        done = self._counted(
            lambda: measured(self._argv(*fetch), work, _PLAIN) + measured(self._argv("unzck", "new.zck"), work, _PLAIN)
        )
        return self._right(done, work / "new")

    def _client(self, *old: str) -> Installed:
        times: list[float] = []

        def run() -> Cost:
            argv = (sys.executable, "-m", "bench.update_client", str(self.disk), self._url, *old)
            cost, printed = measured_output(argv, self.images.folder, _PLAIN)
            wall, cpu, loaded = map(float, printed.split())
            times.append(loaded)
            return Cost(wall, cpu, cost.memory)

        done = self._counted(run)
        return Installed(done.cost, done.fetched, done.requests, times[0])

    def _counted(self, work: Callable[[], Cost]) -> Installed:
        os.sync()
        self._counter.reset()
        cost = work()
        return Installed(cost, self._counter.bytes, self._counter.requests)

    def _right(self, done: Installed, output: Path) -> Installed:
        subprocess.run(["cmp", output, self.images.new], check=True)
        return done

    def _run(self, *words: str) -> Cost:
        return measured(self._argv(*words), self.images.folder, _PLAIN)

    def _argv(self, program: str, *words: str) -> tuple[str, ...]:
        found = shutil.which(program)
        if found is None:
            raise SystemExit(f"bench: {program} is not installed")
        return (found, *words)


def _disk(disk: Path, images: Images) -> int:
    """Two slots, the old system in the first one. Returns the byte at which the second one begins."""
    room = -(-max(images.size("old.slot"), images.size("new.slot")) // MIB) * MIB + 4 * MIB
    sectors = room // 512
    with disk.open("wb") as file:
        for _ in range((2 * room) // MIB + 2):
            file.write(bytes(MIB))  # a file with holes would be slower to fill than a disk
    orders = [
        ["create", str(disk)],
        ["add", "-i", "1", "-t", "coreos-usr", "-b", "2048", "-s", str(sectors), "-l", "USR-A", "-P", "1", "-S", "1", str(disk)],
        ["add", "-i", "2", "-t", "coreos-usr", "-b", str(2048 + sectors), "-s", str(sectors), "-l", "USR-B", str(disk)],
    ]  # fmt: skip
    for words in orders:
        if gptctl(words):
            raise SystemExit(f"bench: gptctl {words[0]} failed")
    with Disk.open(disk) as opened:
        start = opened.table().partition(2).first_lba * 512
    with disk.open("r+b") as file, images.old.open("rb") as old:
        file.seek(2048 * 512)
        shutil.copyfileobj(old, file, MIB)
    return int(start)
