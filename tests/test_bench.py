"""What a measurement says of itself. The measurements themselves are run by hand."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from bench import disk, harness, image, update
from bench.harness import BESIDE, WORKERS, Row, Warm, in_the_way
from bench.image_makers import FILESYSTEMS, MIB
from bench.measured import Cost
from bench.update_clients import DELTA, FULL, PROGRAMS, Installed
from bench.update_server import serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("workers", "host", "reason"),
    [
        (1.6, 1.7, ""),
        (1.3, 1.4, "A second worker brings 1.30 times, not 1.6: two QEMUs alone bring no more than 1.40 on this host."),
        (
            1.3,
            1.8,
            "A second worker brings 1.30 times, not 1.6, where two QEMUs alone bring 1.80: the rest is pytest, the plugin and the harness.",
        ),
    ],
)
def test_a_second_worker_that_brings_too_little_is_explained(workers: float, host: float, reason: str) -> None:
    rows = [Row(WORKERS, workers, 1.0, workers), Row(BESIDE, host, 1.0, host)]
    assert in_the_way(rows) == reason


class Clockwork:
    """A bench whose measurements are known."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "image"

    def raw(self) -> float:
        return 10.0

    def harness(self) -> float:
        return 11.0

    def warm(self) -> Warm:
        return Warm(12.0, 0.6, 0.5)

    def workers(self, count: int) -> float:
        return 48.0 / count

    def alone(self, beside: int) -> float:
        return 40.0 if beside == 1 else 25.0


def test_each_row_is_of_what_its_name_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disks = [disk.Row("raw", 5.0, 1.0, 1.0, 1.0), disk.Row("nbd", 5.5, 1.2, 1.1, 1.2)]
    monkeypatch.setattr(harness, "Bench", Clockwork)
    monkeypatch.setattr(harness, "compare", lambda *_: disks)
    assert [(row.name, row.seconds, row.against, round(row.ratio, 2)) for row in harness.measure(tmp_path)] == [
        ("harness to raw", 11.0, 10.0, 1.1),
        (WORKERS, 48.0, 24.0, 2.0),
        (BESIDE, 40.0, 25.0, 1.6),
        ("cold start to warm", 12.0, 0.5, 24.0),
        ("freezing to a cold start", 0.6, 12.0, 0.05),
        ("honest disk to raw, a boot", 5.5, 5.0, 1.1),
        ("honest disk to raw, 120 MiB", 1.2, 1.0, 1.2),
    ]


class Makers:
    """Makers of images whose costs are known; those of the first round, which fills caches, are beyond all measure."""

    def makers(self, filesystem: str) -> dict[str, Callable[[int], Cost]]:
        costs = {
            "tools": Cost(2.0, 1.0, 100 * MIB),
            "slotboot": Cost(2.2, 1.3, 100 * MIB),
            "again": Cost(0.55, 0.3, 30 * MIB),
            **({"genimage": Cost(8.0, 4.0, 150 * MIB)} if filesystem == "squashfs" else {}),
        }

        def maker(cost: Cost) -> Callable[[int], Cost]:
            return lambda number: cost if number else Cost(1000.0, 1000.0, 0)

        return {name: maker(cost) for name, cost in costs.items()}


def test_an_image_is_held_against_the_tools_and_every_peer_that_knows_the_file_system() -> None:
    goals = image.targets(image.measure(Makers(), rounds=3))
    assert [goal.filesystem for goal in goals if goal.what == "time of genimage"] == ["squashfs"]
    assert {goal.filesystem for goal in goals} == set(FILESYSTEMS)
    assert [(goal.what, round(goal.ratio, 2), goal.met) for goal in goals if goal.filesystem == "squashfs"] == [
        ("time of the tools", 1.1, True),
        ("processor time of the tools", 1.3, False),
        ("memory of the tools", 1.0, True),
        ("time of a whole build, one slot changed", 0.25, True),
        ("time of genimage", 0.28, True),
    ]


def clients(**others: int) -> dict[str, Callable[[], Installed]]:
    """Who installs, with costs that are known; those of the first round, which fills caches, are beyond all measure."""
    costs = {
        PROGRAMS: [Installed(Cost(wall, 0.7, 10 * MIB), 100, 1) for wall in (99.0, 0.8, 1.0, 0.9)],
        FULL: [
            Installed(Cost(wall, 1.0, memory * MIB), 101, 17, 0.2) for wall, memory in ((99.0, 60),) + ((1.0, 60),) * 3
        ],
        DELTA: [Installed(Cost(0.5, 0.6, 65 * MIB), 6, 4, 0.2)],
        **{name: [Installed(Cost(0.5, 0.6, MIB), fetched, 9)] for name, fetched in others.items()},
    }
    return {name: iter(found).__next__ for name, found in costs.items()}


def test_an_update_is_held_against_the_programs_and_every_peer() -> None:
    rows = update.measure(clients(casync=20, zchunk=5), rounds=3)
    assert [(row.client, row.wall, row.fetched) for row in rows] == [
        (PROGRAMS, 0.9, 100), (FULL, 1.0, 101), (DELTA, 0.5, 6), ("casync", 0.5, 20), ("zchunk", 0.5, 5),
    ]  # fmt: skip
    assert [(goal.what, round(goal.value, 2), goal.met) for goal in update.targets(rows)] == [
        (f"speed of {PROGRAMS}", 0.9, False),
        ("MiB of memory", 65.0, False),
        ("bytes of casync", 0.3, True),
        ("bytes of zchunk", 1.2, False),
    ]


def test_where_there_are_no_peers_there_is_nothing_to_hold_against() -> None:
    goals = update.targets(update.measure(clients(), rounds=3))
    assert [goal.what for goal in goals] == [f"speed of {PROGRAMS}", "MiB of memory"]


def test_the_server_of_the_measurement_sends_what_is_asked_for_and_counts_it(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    (tmp_path / "file").write_bytes(content)
    with serving(tmp_path) as (url, counter):

        def curl(*words: str) -> bytes:
            argv = ["curl", "-sS", "--noproxy", "*", *words, f"{url}/file"]
            return subprocess.run(argv, check=True, capture_output=True).stdout

        assert curl() == content
        assert (counter.bytes, counter.requests) == (len(content), 1)
        assert curl("-r", "100-199") == content[100:200]
        assert (counter.bytes, counter.requests) == (len(content) + 100, 2)
        several = curl("-r", "0-9,256-299")
        assert content[:10] in several
        assert content[256:300] in several
        counter.reset()
        assert curl("-f", "-o", "/dev/null", "-r", "10000-20000") == b""
        assert (counter.bytes, counter.requests) == (len(content) - 10000, 1)
