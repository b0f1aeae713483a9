"""Putting a disk together: right or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from image_builder.definition.load import parse_definition
from image_builder.disk.assemble import assemble
from image_builder.disk.partitioning import Partitioning, plan_partitions
from image_builder.errors import OutputError, TooLargeError
from tests.support import run_tool

MIB = 1 << 20
PARTITIONS: list[dict[str, Any]] = [
    {"label": "ONE", "type": "linux-data", "size": "2M", "grow": True, "no-auto": True},
    {"label": "USR-A", "type": "coreos-usr", "size": "4M", "number": 5, "priority": 3, "tries": 2, "successful": True},
]


def partitioning(sector: int = 512) -> Partitioning:
    image = {"name": "disk", "sector-size": sector}
    return plan_partitions(parse_definition(Path("disk.toml"), {"image": image, "partition": PARTITIONS}))


def content(path: Path, size: int) -> Path:
    path.write_bytes(b"content!" * (size // 8))
    return path


def test_others_read_the_table_as_the_definition_says(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    assemble(image, partitioning(), {})
    table = json.loads(run_tool("sfdisk", "-J", image))["partitiontable"]
    one, slot = table["partitions"]
    assert (one["start"], one["size"], one["name"]) == (2048, 4096, "ONE")
    assert one["attrs"].split() == ["GUID:59,63"]
    assert (slot["start"], slot["size"], slot["node"]) == (6144, 8192, f"{image}5")
    assert slot["type"].lower() == "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"
    assert [run_tool("cgpt", "show", "-i", "5", option, image).strip() for option in ("-P", "-T", "-S")] == [
        "3",
        "2",
        "1",
    ]
    assert "No problems found" in run_tool("sgdisk", "--verify", image)


def test_contents_lie_where_the_table_says(tmp_path: Path) -> None:
    image, source = tmp_path / "disk.raw", content(tmp_path / "slot", 4 * MIB)
    assemble(image, partitioning(), {5: source})
    assert image.read_bytes()[6144 * 512 : 6144 * 512 + 4 * MIB] == source.read_bytes()


def test_a_disk_of_large_sectors_has_its_table_in_large_sectors(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    assemble(image, partitioning(4096), {})
    listing = run_tool("fdisk", "-b", "4096", "-l", image)
    assert "Disklabel type: gpt" in listing
    rows = [line.split()[1:4] for line in listing.splitlines() if line.startswith(f"{image}")]
    assert rows == [["256", "767", "512"], ["768", "1791", "1024"]]


def test_content_that_is_too_large_is_refused_with_both_sizes_and_leaves_the_old_image(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_text("old")
    with pytest.raises(TooLargeError) as raised:
        assemble(image, partitioning(), {5: content(tmp_path / "slot", 5 * MIB)})
    expected = f"{tmp_path}/slot: 5242880 bytes do not fit into partition USR-A of 4194304 bytes; make partition USR-A at least"
    assert str(raised.value).startswith(f"{expected} 5 MiB")
    assert image.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.raw", "slot"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"disk\.raw: cannot be written"):
        assemble(tmp_path / "file" / "disk.raw", partitioning(), {})
