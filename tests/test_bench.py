"""What a measurement says of itself. The measurements themselves are run by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench import disk, harness, image
from bench.harness import BESIDE, WORKERS, Row, Warm, in_the_way
from bench.image_makers import FILESYSTEMS, MIB, Cost

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
