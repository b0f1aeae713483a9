"""What an update costs a machine: ``python -m bench.update [--json]`` (``script/bench update``).

A Debian slot with the updates that came since its point release, from a web server on loopback into the second slot of a disk in a file,
on which the old one is in the first:

- whole: the agent's way, frames unpacked, hashed, written, flushed, read back from the disk past the page cache and hashed again,
  beside ``curl | zstd -d | dd`` of the same bytes with a flush at the end, in turns. The agent runs already; what its start takes is a number of its own
- difference: bytes and processor time, beside casync and zchunk, where they are installed (apt-get install casync zchunk). Theirs ends
  in a file that is neither flushed nor read back

Memory is of the largest process. Images and disk are in the cache folder's file system, read from the page cache.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.options import wants_json
from bench.update_clients import DELTA, FULL, MIB, PROGRAMS, Installed, Place
from bench.update_images import Images, make_images
from bench.update_server import serving
from image_builder.cache import cache_root
from image_builder.errors import BuildError
from update_agent.errors import UpdateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROUNDS = 5
SPEED, MEMORY = 0.95, 64 * MIB
"""Of the bare programs at least, and bytes at most."""


@dataclass(frozen=True)
class Row:
    """Medians of one client: seconds, those of all processors, bytes of its largest process, bytes fetched and requests for them.

    ``loaded``: seconds of the processor that a start takes, which are not in the others.
    """

    client: str
    wall: float
    cpu: float
    memory: int
    fetched: int
    requests: int
    loaded: float = 0.0


@dataclass(frozen=True)
class Target:
    """A number, and what it must reach, or must not pass where ``most``."""

    what: str
    value: float
    limit: float
    most: bool

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.value <= self.limit if self.most else self.value >= self.limit


def measure(clients: Mapping[str, Callable[[], Installed]], rounds: int = ROUNDS) -> list[Row]:
    """All rows. The whole images take turns, after a first round that is not counted; the others come once."""
    turns: dict[str, list[Installed]] = {name: [] for name in (PROGRAMS, FULL)}
    for number in range(rounds + 1):
        for name, found in turns.items():
            done = clients[name]()
            if number:
                found.append(done)
    once = {name: [client()] for name, client in clients.items() if name not in turns}
    return [_row(name, found) for name, found in {**turns, **once}.items()]


def _row(name: str, found: Sequence[Installed]) -> Row:
    wall, cpu, memory = (statistics.median(column) for column in zip(*(one.cost for one in found), strict=True))
    loaded = statistics.median(one.loaded for one in found)
    return Row(name, wall, cpu, int(memory), found[-1].fetched, found[-1].requests, loaded)


def targets(rows: Sequence[Row]) -> list[Target]:
    """What has to be."""
    named = {row.client: row for row in rows}
    ours, programs, difference = named[FULL], named[PROGRAMS], named[DELTA]
    found = [
        Target(f"speed of {PROGRAMS}", programs.wall / ours.wall, SPEED, most=False),
        Target("MiB of memory", max(ours.memory, difference.memory) / MIB, MEMORY / MIB, most=True),
    ]
    others = [row for row in rows if row.client not in {FULL, PROGRAMS, DELTA}]
    return found + [
        Target(f"bytes of {row.client}", difference.fetched / row.fetched, 1.0, most=True) for row in others
    ]


def main() -> int:
    """Measure and print. Returns 1 when a target is missed."""
    as_json = wants_json(
        "update",
        "What an update costs a machine beside curl, zstd and dd, casync and zchunk. Exit code 1: a target was missed.",
    )
    folder = cache_root()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="slotboot-bench-", dir=folder) as name:
            images = make_images(Path(name))
            with serving(images.folder) as (url, counter):
                rows = measure(Place(images, url, counter).clients())
            size = images.size("new.slot")
    except (BuildError, UpdateError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"bench: {error}")
    goals = targets(rows)
    if as_json:
        told = {
            "image": {"size": size, "packages": images.packages, "changed": images.changed},
            "rows": [asdict(row) for row in rows],
            "targets": [asdict(goal) | {"met": goal.met} for goal in goals],
        }
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        sys.stdout.write(table(rows, goals, images, size))
    return int(any(not goal.met for goal in goals))


def table(rows: Sequence[Row], goals: Sequence[Target], images: Images, size: int) -> str:
    """For people."""
    lines = [
        f"an image of {size / MIB:.0f} MiB; {images.changed} of {images.packages} packages changed; load {os.getloadavg()[0]:.1f}",
        "",
        f"{'':<26}{'s':>7}{'CPU s':>7}{'ms/MiB':>8}{'MiB':>6}{'fetched MiB':>13}{'requests':>10}{'start s':>9}",
    ]
    lines += [
        f"{row.client:<26}{row.wall:>7.2f}{row.cpu:>7.2f}{row.cpu * 1000 * MIB / size:>8.2f}{row.memory / MIB:>6.0f}"
        f"{row.fetched / MIB:>13.2f}{row.requests:>10}{row.loaded or '':>9.3}"
        for row in rows
    ]
    lines += ["", "targets"]
    lines += [
        f"{goal.what:<40}{goal.value:>7.2f}  ({'at most' if goal.most else 'at least'} {goal.limit:g}) {'met' if goal.met else 'MISSED'}"
        for goal in goals
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
