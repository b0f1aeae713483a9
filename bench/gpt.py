"""gptlib beside its peers: ``python -m bench.gpt [--json]`` (``script/bench gpt``).

Everything that is compared is measured in turns, in one run, on the same files; what counts are the ratios. In process:
read and verify both copies (the peers verify less: see the notes), and change one attribute durably. As processes: showing
a table. Peers are packages of the ``bench`` extra and the tools of script/packages.txt.
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
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

try:
    import gpt
    from dissect.volume.disk import Disk as DissectDisk
    from gpt_image.disk import Disk as GptImageDisk
except ModuleNotFoundError as missing:
    sys.exit(f"bench: the peer {missing.name} is not installed; script/bench gpt does that")

from bench.installed import install
from bench.options import wants_json
from gptlib import Attributes, Disk, Guid, Partition, Table, type_guid
from gptlib.read.sectors import SectorCache
from gptlib.read.state import examine
from gptlib.table.crc import crc32, uses_c_extension
from gptlib.table.partition import EntryArray
from gptlib.write.plan import plan_write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECTORS = 4096
USED = (9, 128)
ROUNDS, CALLS = 30, 20
WRITES, PROCESSES = 200, 40


@dataclass(frozen=True)
class Row:
    """One measurement: milliseconds, and the time of ours (or of the floor) divided into it."""

    what: str
    who: str
    milliseconds: float
    ratio: float
    note: str


@dataclass(frozen=True)
class Target:
    """What the project promises of a ratio."""

    what: str
    ratio: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether the promise is kept in this run."""
        return self.ratio <= self.limit


def image(path: Path, used: int) -> Path:
    """An image with ``used`` partitions; it is small, since one of the peers reads all of it."""
    table = Table.new(total_sectors=SECTORS)
    for number in range(used):
        first = 40 + 16 * number
        bits = Attributes(0).with_slot(priority=1, tries=3)
        table = table.add(Partition(type_guid("coreos-usr"), Guid.random(), first, first + 7, bits, f"PART-{number}"))
    with path.open("wb") as file:
        file.truncate(SECTORS * 512)
    with Disk.open(path, write=True) as disk:
        disk.create(table)
    return path


def best(competitors: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The least CPU time of a call, in milliseconds: all take turns, so that a busy machine is no advantage to any."""
    least = dict.fromkeys(competitors, float("inf"))
    for _ in range(ROUNDS):
        for name, call in competitors.items():
            start = time.process_time_ns()
            for _ in range(CALLS):
                call()
            least[name] = min(least[name], (time.process_time_ns() - start) / CALLS / 1e6)
    return least


def read_ours(path: Path) -> object:
    """Both copies validated with all their CRCs, every partition decoded."""
    with Disk.open(path) as disk:
        state = disk.read()
    return state.table and state.table.partitions


def read_dissect(path: Path) -> object:
    """As the documentation of dissect.volume does it."""
    with path.open("rb") as file:
        return DissectDisk(file).partitions


def read_gpt(path: Path) -> object:
    """With the functions of the package gpt that a reader of a disk needs, the CRC of the entries included."""
    with path.open("rb") as file:
        file.seek(512)
        header = gpt.decode_gpt_header(file.read(512))
        file.seek(header.partition_entry_lba * 512)
        data = file.read(header.number_of_partition_entries * header.size_of_partition_entry)
    if gpt.calculate_partition_entry_array_crc32(data) != header.partition_entry_array_crc32:
        raise RuntimeError("the package gpt finds a wrong CRC")
    return gpt.decode_gpt_partition_entry_array(
        data, header.size_of_partition_entry, header.number_of_partition_entries
    )


PEERS = {
    "dissect.volume": (read_dissect, "primary only, no CRC"),
    "gpt": (read_gpt, "primary only, no header CRC"),
    "gpt-image": (lambda path: GptImageDisk.open(str(path)), "no CRC; reads the whole file"),
}


CHANGES = {
    "floor": "4 sectors, 3 fsync on an open file, nothing else",
    "gptlib": "change and write a table that was read from an open file",
    "gptlib, the whole": "open, lock, read, verify, change, write, close",
}


def reading(directory: Path) -> Iterator[Row | Target]:
    """In process: read and verify."""
    for used in USED:
        path = image(directory / f"read-{used}.img", used)
        calls: dict[str, Callable[[], object]] = {"gptlib": partial(read_ours, path)}
        calls.update({name: partial(call, path) for name, (call, _) in PEERS.items()})
        times = best(calls)
        what = f"read and verify, {used} used entries"
        for name, milliseconds in times.items():
            note = "both copies, all CRCs" if name == "gptlib" else PEERS[name][1]
            yield Row(what, name, milliseconds, milliseconds / times["gptlib"], note)
        yield Target(f"{what}: gptlib / dissect.volume", times["gptlib"] / times["dissect.volume"], 0.25)
        yield Target(f"{what}: gptlib / gpt", times["gptlib"] / times["gpt"], 1)
        yield Target(f"{what}: gptlib / gpt-image", times["gptlib"] / times["gpt-image"], 1)
        yield from parts(path, used)


def parts(path: Path, used: int) -> Iterator[Row]:
    """Where the time of a read goes."""
    with Disk.open(path) as disk:
        cache = SectorCache(disk.device)
        entries = disk.table().entries
        times = best(
            {
                "open, two reads, close": lambda: open_and_fetch(path),
                "CRC of the entries": lambda: crc32(entries),
                "validating both copies": lambda: examine(cache, None),
                "decoding the partitions": lambda: EntryArray(entries).partitions,
            }
        )
    whole = times["open, two reads, close"] + times["validating both copies"] + times["decoding the partitions"]
    for name, milliseconds in times.items():
        note = "contained in validating both copies" if name.startswith("CRC") else "share of a read"
        yield Row(f"parts of a read, {used} used entries", name, milliseconds, milliseconds / whole, note)


def open_and_fetch(path: Path) -> None:
    """The system calls of a read."""
    with Disk.open(path) as disk:
        SectorCache(disk.device)


class Floor:
    """What a durable change of one attribute costs at least: four sectors, three flushes, on an open file."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDWR)
        self.sector = bytes(range(256)) * 2

    def __call__(self) -> None:
        """Write once."""
        os.pwrite(self.fd, self.sector, (SECTORS - 33) * 512)
        os.pwrite(self.fd, self.sector, (SECTORS - 1) * 512)
        os.fsync(self.fd)
        os.pwrite(self.fd, self.sector, 512)
        os.fsync(self.fd)
        os.pwrite(self.fd, self.sector, 1024)
        os.fsync(self.fd)


def change_ours(disk: Disk, table: Table, number: int) -> None:
    """Change the tries in a table that was read and verified, and write it."""
    bits = table.partition(1).attributes
    disk.write(table.with_attributes(1, bits.with_slot(tries=number % 16)))


def whole_change(path: Path, number: int) -> None:
    """The same from the opening of the file to its closing: with the lock, reading and verifying both copies."""
    with Disk.open(path, write=True) as disk:
        change_ours(disk, disk.table(), number)


def writing(directory: Path) -> Iterator[Row | Target]:
    """In process: one attribute, durably, in wall time: waiting for the disk is the point of it."""
    floor = Floor(image(directory / "floor.img", 9))
    path = image(directory / "whole.img", 9)
    times: dict[str, list[float]] = {who: [] for who in CHANGES}
    with Disk.open(image(directory / "open.img", 9), write=True) as disk:
        for number in range(WRITES):
            ours = partial(change_ours, disk, disk.table(), number)
            calls: list[Callable[[], None]] = [floor, ours, partial(whole_change, path, number)]
            for call, mine in zip(calls, times.values(), strict=True):
                start = time.perf_counter_ns()
                call()
                mine.append((time.perf_counter_ns() - start) / 1e6)
    what = "change one attribute durably"
    middle = {who: statistics.median(mine) for who, mine in times.items()}
    for who, milliseconds in middle.items():
        yield Row(what, who, milliseconds, milliseconds / middle["floor"], CHANGES[who])
    yield Target(f"{what}: gptlib / floor", middle["gptlib"] / middle["floor"], 1.5)
    yield from parts_of_a_change(path)


def parts_of_a_change(path: Path) -> Iterator[Row]:
    """Where the time goes that a change takes beside its writes, in CPU time and with warm caches."""
    with Disk.open(path) as disk:
        cache, table = SectorCache(disk.device), disk.table()
    bits = table.partition(1).attributes.with_slot(priority=9)
    new = table.with_attributes(1, bits)

    def plan() -> object:
        return plan_write(cache.sectors(512), table, new, sound=True)

    plan()  # The CRC of the entries is computed once and kept: a row of its own.
    times = best(
        {
            "the new table": lambda: table.with_attributes(1, bits),
            "CRC of its entries": lambda: crc32(new.entries),
            "which sectors, and in which order": plan,
        }
    )
    for name, milliseconds in times.items():
        note = "share of these three"
        yield Row("parts of a change", name, milliseconds, milliseconds / sum(times.values()), note)


def processes(directory: Path) -> Iterator[Row | Target]:
    """As a process, in wall time: the least of many turns. In an environment as a user's, not in the one of this program."""
    path = image(directory / "process.img", 9)
    programs = install(directory)
    python = str(programs / "python3")
    commands: dict[str, list[str]] = {
        "python3 -c pass": [python, "-c", "pass"],
        "gptctl show": [str(programs / "gptctl"), "show", str(path)],
        "import gptlib.disk": [python, "-c", "import gptlib.disk"],
    }
    for name, words in {
        "cgpt show": ["cgpt", "show"],
        "sgdisk -p": ["sgdisk", "-p"],
        "sfdisk -d": ["sfdisk", "-d"],
    }.items():
        if shutil.which(words[0]):
            commands[name] = [*words, str(path)]
    least = dict.fromkeys(commands, float("inf"))
    # Compiled modules are kept, as everywhere but where somebody forbids it; the first turn compiles them and does not count.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    for turn in range(PROCESSES + 1):
        for name, argv in commands.items():
            start = time.perf_counter_ns()
            # Not in a checkout: its modules would come before those that are installed.
            subprocess.run(argv, stdout=subprocess.DEVNULL, check=True, env=environment, cwd="/")
            if turn:
                least[name] = min(least[name], (time.perf_counter_ns() - start) / 1e6)
    what = "show a table, as a process"
    base = least["python3 -c pass"]
    for name, milliseconds in least.items():
        yield Row(what, name, milliseconds, milliseconds / base, "")
    yield Target(f"{what}: gptctl show / python3 -c pass", least["gptctl show"] / base, 2.0)


@contextmanager
def scratch() -> Iterator[Path]:
    """A directory on a real disk, in ``build`` below the current one: /tmp may be memory."""
    build = Path("build")
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=build) as name:
        yield Path(name).resolve()


def table(rows: list[Row], targets: list[Target]) -> str:
    """For people."""
    lines, what = [], ""
    for row in rows:
        if row.what != what:
            what = row.what
            lines += ["", what]
        lines.append(f"    {row.who:<34}{row.milliseconds:>10.3f} ms{row.ratio:>8.2f} x  {row.note}")
    lines += ["", "targets"]
    lines += [f"    {t.what:<58}{t.ratio:>6.2f}  (at most {t.limit:g}) {'met' if t.met else 'MISSED'}" for t in targets]
    crc = "crcmod's C extension" if uses_c_extension() else "crcmod's Python code (no C extension)"
    lines += [
        "",
        f"CRC by {crc}; Python {sys.version.split()[0]}; CPU time in process, wall time for writes and processes",
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure and print. Returns 1 when a target is missed."""
    as_json = wants_json(
        "gpt", "gptlib beside its peers: reading, changing, and showing a table. Exit code 1: a target was missed."
    )
    with scratch() as directory:
        found = [*reading(directory), *writing(directory), *processes(directory)]
    rows = [row for row in found if isinstance(row, Row)]
    targets = [target for target in found if isinstance(target, Target)]
    if as_json:
        told = {"rows": [asdict(row) for row in rows], "targets": [asdict(t) | {"met": t.met} for t in targets]}
        text = json.dumps({**told, "crc_c_extension": uses_c_extension()}, indent=2)
    else:
        text = table(rows, targets)
    sys.stdout.write(text + "\n")
    return int(any(not target.met for target in targets))


if __name__ == "__main__":
    sys.exit(main())
