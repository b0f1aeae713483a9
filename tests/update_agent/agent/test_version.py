"""Versions in the order that systemd has for them (UAPI.10), judged by systemd-analyze."""

from __future__ import annotations

import random
import shutil
import subprocess

import pytest

from update_agent.agent.version import compare, newest_first

WORDS = [
    "1", "1.0", "1.00", "1.0~rc1", "1.0~rc2", "1.0-1", "1.0^1", "1.0^", "1.a", "1.A", "1.aa", "a", "", "~", "~~", "0", "00", "1..2",
    "1.0.0", "10", "9", "1.10", "1.9", "2026.11.28", "2026.11.3", "1-2-3", "1-2_3", "v1", "1+b", "1+c", "1,2", "123456789012345678901234567890",
    "123456789012345678901234567891", "1.0a", "1.0.a", "1^2", "1-2", "1.2", "1~2", "1é2", "_1", "-1", ".1", "^1",
]  # fmt: skip
SIGNS = {"<": -1, "==": 0, ">": 1}


def judged(one: str, other: str) -> int:
    done = subprocess.run(
        ["systemd-analyze", "compare-versions", "--", one, other], capture_output=True, text=True, check=False
    )
    return {0: 0, 11: 1, 12: -1}[done.returncode]


needs_judge = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.mark.slow
@needs_judge
def test_the_order_is_that_of_systemd() -> None:
    chance = random.Random(1)
    pairs = [(chance.choice(WORDS), chance.choice(WORDS)) for _ in range(150)]
    letters = "019aAzZ~^.-_+"
    pairs += [
        (
            "".join(chance.choices(letters, k=chance.randrange(6))),
            "".join(chance.choices(letters, k=chance.randrange(6))),
        )
        for _ in range(150)
    ]
    wrong = [(one, other) for one, other in pairs if one and other and compare(one, other) != judged(one, other)]
    assert not wrong


@pytest.mark.parametrize(
    ("older", "newer"),
    # The examples of the specification.
    [
        ("122.1", "123~rc1-1"), ("123~rc1-1", "123"), ("123", "123-a"), ("123-a", "123-a.1"), ("123-a.1", "123-1"),
        ("123-1", "123-1.1"), ("123-1.1", "123^post1"), ("123^post1", "123.a-1"), ("123.a-1", "123.1-1"),
        ("123.1-1", "123a-1"), ("123a-1", "124-1"),
    ],
)  # fmt: skip
def test_the_examples_of_the_specification(older: str, newer: str) -> None:
    assert (compare(older, newer), compare(newer, older), compare(newer, newer)) == (-1, 1, 0)


def test_the_newest_comes_first() -> None:
    assert sorted(["1.9", "1.10", "1.10~rc1", "1.1"], key=newest_first) == ["1.10", "1.10~rc1", "1.9", "1.1"]
