"""What a measurement says of itself. The measurements themselves are run by hand."""

from __future__ import annotations

import pytest

from bench.harness import BESIDE, WORKERS, Row, in_the_way


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
