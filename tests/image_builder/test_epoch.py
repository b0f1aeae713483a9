"""The time of everything in an image is SOURCE_DATE_EPOCH, or a fixed one."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

import pytest

from image_builder.epoch import EPOCH, FIRST, LAST, build_epoch
from image_builder.errors import EpochError
from image_builder.run import SystemRunner
from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("environ", [{}, {"SOURCE_DATE_EPOCH": ""}])
def test_without_the_variable_it_is_a_fixed_time(environ: dict[str, str]) -> None:
    assert build_epoch(environ) == EPOCH


@pytest.mark.parametrize("value", ["315532800", "1700000000", "2147483647"])
def test_the_variable_is_honoured(value: str) -> None:
    assert build_epoch({"SOURCE_DATE_EPOCH": value}) == int(value)


@pytest.mark.parametrize(
    "value",
    [
        "0",
        "315532799",
        "2147483648",
        "-1",
        "1.5",
        " 1700000000",
        "1700000000\n",
        "now",
        "\N{ARABIC-INDIC DIGIT ONE}700000000",
        "9" * 5000,
    ],
)
def test_another_time_than_the_file_systems_can_hold_is_refused_with_one_line(value: str) -> None:
    with pytest.raises(EpochError, match=r"SOURCE_DATE_EPOCH: is .*; expected whole seconds since 1970") as caught:
        build_epoch({"SOURCE_DATE_EPOCH": value})
    assert len(str(caught.value).splitlines()) == 1


def test_the_last_time_is_the_last_one_that_an_ext4_keeps(tmp_path: Path) -> None:
    def made_at(time: int) -> int:
        image = tmp_path / str(time)
        with image.open("wb") as file:
            file.truncate(8 << 20)
        SystemRunner().run(["mkfs.ext4", "-q", image], env={"E2FSPROGS_FAKE_TIME": str(time)})
        shown = run_tool("debugfs", "-R", "stat <2>", image)
        low, high = re.findall(r"mtime: 0x([0-9a-f]{8}):([0-9a-f]{8})", shown)[0]
        # As the kernel reads it (fs/ext4/ext4.h, ext4_decode_extra_time): a signed number, and two bits of the other word.
        return int(struct.unpack(">i", bytes.fromhex(low))[0]) + ((int(high, 16) & 3) << 32)

    assert made_at(LAST) == LAST
    assert made_at(FIRST) == FIRST
    assert made_at(LAST + 1) != LAST + 1
