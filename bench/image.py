"""What building an image costs: ``python -m bench.image [--json]`` (``script/bench image``).

One Debian tree of about 200 MB, one disk of it: an EFI system partition of 64 MiB with kernel and initramfs, two slots of 512 MiB,
the first from the tree, and 256 MiB for the state. For each file system, in turns:

- tools: the bare programs with the same options, and the copying of what they made into a sparse image, flushed at the end
- slotboot: ``image-builder build``, as a process; kernel, initramfs and UKI are in its cache, the slot is not
- again: the same after a change in the other slot, a small one, while the first one comes from the cache
- genimage, systemd-repart: the peers, where they are installed and know the file system

All are made of what the page cache holds. Processor times and memory are those of all processes; the memory is of the largest one.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bench.image_makers import FILESYSTEMS, MIB, PEERS, Workplace
from bench.options import wants_json
from image_builder.cache import cache_root
from image_builder.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.image_makers import Make
    from bench.measured import Cost

ROUNDS = 3
WALL, CPU, AGAIN = 1.15, 1.2, 0.3
"""What slotboot may take of the tools, and a build with one slot changed of a whole one."""
_OURS, _TOOLS, _AGAIN = "slotboot", "tools", "again"


class Makers(Protocol):
    """Those who make the image: a Workplace."""

    def makers(self, filesystem: str) -> Mapping[str, Make]:
        """Who can make it with that file system, in the order in which they take turns."""
        ...


@dataclass(frozen=True)
class Row:
    """Medians of one maker: seconds, those of all processors, and bytes of its largest process."""

    filesystem: str
    maker: str
    wall: float
    cpu: float
    memory: int


@dataclass(frozen=True)
class Target:
    """A ratio of ours to others', and what it may be at most."""

    filesystem: str
    what: str
    ratio: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.ratio <= self.limit


def measure(place: Makers, rounds: int = ROUNDS) -> list[Row]:
    """All rows. A first round, which fills caches, is not counted."""
    rows = []
    for filesystem in FILESYSTEMS:
        makers = place.makers(filesystem)
        found: dict[str, list[Cost]] = {name: [] for name in makers}
        for number in range(rounds + 1):
            for name, maker in makers.items():
                cost = maker(number)
                if number:
                    found[name].append(cost)
        rows += [_row(filesystem, name, costs) for name, costs in found.items()]
    return rows


def _row(filesystem: str, maker: str, costs: list[Cost]) -> Row:
    wall, cpu, memory = (statistics.median(column) for column in zip(*costs, strict=True))
    return Row(filesystem, maker, wall, cpu, int(memory))


def targets(rows: list[Row]) -> list[Target]:
    """What has to be, for each file system."""
    found = []
    for filesystem in dict.fromkeys(row.filesystem for row in rows):
        named = {row.maker: row for row in rows if row.filesystem == filesystem}
        ours, tools = named[_OURS], named[_TOOLS]
        found += [
            Target(filesystem, "time of the tools", ours.wall / tools.wall, WALL),
            Target(filesystem, "processor time of the tools", ours.cpu / tools.cpu, CPU),
            Target(filesystem, "memory of the tools", ours.memory / tools.memory, 1.0),
            Target(filesystem, "time of a whole build, one slot changed", named[_AGAIN].wall / ours.wall, AGAIN),
        ]
        found += [
            Target(filesystem, f"time of {name}", ours.wall / named[name].wall, 1.0) for name in PEERS if name in named
        ]
    return found


def main() -> int:
    """Measure and print. Returns 1 when a target is missed."""
    as_json = wants_json(
        "image", "What building an image costs beside the bare tools and the peers. Exit code 1: a target was missed."
    )
    try:
        with tempfile.TemporaryDirectory(prefix="slotboot-bench-", dir=_roomy_folder()) as folder:
            rows = measure(Workplace(Path(folder)))
    except (BuildError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"bench: {error}")
    goals = targets(rows)
    if as_json:
        told = {"rows": [asdict(row) for row in rows], "targets": [asdict(goal) | {"met": goal.met} for goal in goals]}
        sys.stdout.write(json.dumps(told, indent=2) + "\n")
    else:
        sys.stdout.write(table(rows, goals))
    return int(any(not goal.met for goal in goals))


def table(rows: list[Row], goals: list[Target]) -> str:
    """For people."""
    lines = [f"{'':<10}{'':<16}{'s':>8}{'CPU s':>8}{'MiB':>8}"]
    lines += [
        f"{row.filesystem:<10}{row.maker:<16}{row.wall:>8.2f}{row.cpu:>8.2f}{row.memory / MIB:>8.0f}" for row in rows
    ]
    lines += ["", "targets"]
    lines += [
        f"{goal.filesystem:<10}{goal.what:<44}{goal.ratio:>6.2f}  (at most {goal.limit:g}) {'met' if goal.met else 'MISSED'}"
        for goal in goals
    ]
    return "\n".join(lines) + "\n"


def _roomy_folder() -> Path:
    """On the disk: /tmp may be memory, and a few GB are needed."""
    folder = cache_root()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
