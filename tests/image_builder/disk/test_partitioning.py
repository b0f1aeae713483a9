"""Where partitions go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from image_builder.definition.load import load_definition, parse_definition
from image_builder.disk.partitioning import partition_sizes, plan_partitions
from image_builder.errors import DefinitionError

if TYPE_CHECKING:
    from image_builder.definition.model import Definition

EXAMPLES = Path(__file__).parents[3] / "examples"
MIB = 1 << 20
SLOT_A = {"type": "coreos-usr", "content": "slot.base", "size": "auto"}
SLOT_B = {"type": "coreos-usr", "size": "auto"}


def disk(*partitions: dict[str, Any], **image: object) -> Definition:
    named = [{"label": f"P{place}", "type": "linux-data", **fields} for place, fields in enumerate(partitions, 1)]
    return parse_definition(Path("disk.toml"), {"image": {"name": "disk", **image}, "partition": named})


def test_partitions_follow_each_other_from_the_first_mebibyte() -> None:
    partitioning = plan_partitions(disk({"size": "8M"}, {"size": "4M"}))
    assert [(place.start, place.end) for place in partitioning.places] == [(MIB, 9 * MIB), (9 * MIB, 13 * MIB)]


def test_the_disk_is_as_large_as_needed_and_leaves_room_for_the_backup_of_the_table() -> None:
    assert plan_partitions(disk({"size": "8M"})).size == 10 * MIB
    assert plan_partitions(disk({"size": "8M"}, size="1G")).size == 1024 * MIB


def test_a_place_of_its_own_leaves_a_gap() -> None:
    partitioning = plan_partitions(disk({"size": "1M"}, {"size": "1M", "start": "10M"}, {"size": "1M"}))
    assert [place.start for place in partitioning.places] == [MIB, 10 * MIB, 11 * MIB]


@pytest.mark.parametrize("sector", [512, 4096])
def test_the_table_counts_in_sectors_of_the_disk(sector: int) -> None:
    table = plan_partitions(disk({"size": "8M"}, **{"sector-size": sector})).table
    partition = table.partition(1)
    assert (table.sector_size, table.total_sectors) == (sector, 10 * MIB // sector)
    assert (partition.first_lba, partition.sectors) == (MIB // sector, 8 * MIB // sector)


@pytest.mark.parametrize(
    ("partitions", "image", "message"),
    [
        ([{"size": "8M"}], {"size": "9M"}, "image.size: is 9 MiB; expected at least 10 MiB for the partitions"),
        (
            [{"size": "8M"}, {"size": "1M", "start": "8M"}],
            {},
            r"partition\[2\]: partition 2 .* would overlap partition 1",
        ),
        ([{"size": "8M", "start": "10M"}, {"size": "9M", "start": "2M"}], {}, r"partition\[2\]: .* would overlap"),
    ],
)
def test_what_does_not_fit_is_refused(partitions: list[dict[str, Any]], image: dict[str, Any], message: str) -> None:
    with pytest.raises(DefinitionError, match=f"disk.toml: {message}"):
        plan_partitions(disk(*partitions, **image))


def test_the_disk_of_coreos_is_laid_out_to_the_sector() -> None:
    table = plan_partitions(load_definition(EXAMPLES / "coreos.toml")).table
    # coreos/scripts, build_library/disk_layout.json, and the cgpt show of its documentation.
    assert {number: (part.label, part.first_lba, part.sectors) for number, part in table.partitions.items()} == {
        1: ("EFI-SYSTEM", 4096, 262144),
        2: ("BIOS-BOOT", 266240, 4096),
        3: ("USR-A", 270336, 2097152),
        4: ("USR-B", 2367488, 2097152),
        6: ("OEM", 4464640, 262144),
        7: ("OEM-CONFIG", 4726784, 131072),
        9: ("ROOT", 4857856, 4427776),
    }
    assert str(table.partition(3).unique_guid) == "7130C94A-213A-4E5A-8E26-6CCE9662F132"
    assert str(table.partition(4).unique_guid) == "E03DD35C-7C2D-4A47-B3FE-27F15780A57C"
    assert str(table.partition(3).attributes) == "priority=1 tries=0 successful=1"
    assert str(table.partition(4).attributes) == "priority=0 tries=0 successful=0"


def with_auto(folder: Path, *partitions: dict[str, Any]) -> Definition:
    (folder / "blob").touch()
    slots = {"base": {"kind": "tiny"}} if SLOT_A["content"] in {fields.get("content") for fields in partitions} else {}
    named = [{"label": f"P{place}", "type": "linux-data", **fields} for place, fields in enumerate(partitions, 1)]
    return parse_definition(folder / "disk.toml", {"image": {"name": "disk"}, "slot": slots, "partition": named})


@pytest.mark.parametrize(
    ("fields", "content", "expected"),
    [
        ({}, 0, MIB),
        ({}, 1, MIB),
        ({}, 8 * MIB, 10 * MIB),  # a quarter is left free
        ({}, 8 * MIB + 1, 11 * MIB),
        ({"headroom": "0%"}, 8 * MIB, 8 * MIB),
        ({"headroom": "0%"}, 8 * MIB + 1, 9 * MIB),
        ({"headroom": "100%"}, 8 * MIB, 16 * MIB),
        ({"headroom": "3M"}, 8 * MIB, 11 * MIB),
        ({"min": "64M"}, 8 * MIB, 64 * MIB),
        ({"max": "9M"}, 8 * MIB, 9 * MIB),
        ({"max": "4M"}, 8 * MIB, 4 * MIB),  # that it does not fit is told when the disk is put together
        ({"min": "12M", "max": "12M"}, 1, 12 * MIB),
    ],
)
def test_an_automatic_size_is_that_of_the_content_with_headroom_within_its_limits(
    tmp_path: Path, fields: dict[str, str], content: int, expected: int
) -> None:
    definition = with_auto(tmp_path, {"size": "auto", "content": "blob", **fields}, {"size": "1M"})
    (first, second) = plan_partitions(definition, {1: content}).places
    assert (first.size, second.start) == (expected, MIB + expected)


def test_all_slots_get_room_for_the_largest_of_them(tmp_path: Path) -> None:
    definition = with_auto(tmp_path, SLOT_A, SLOT_B, {**SLOT_B, "headroom": "0%"}, {"size": "auto", "content": "blob"})
    sizes = partition_sizes(definition, {1: 8 * MIB, 4: 100})
    assert sizes == {1: 10 * MIB, 2: 10 * MIB, 3: 8 * MIB, 4: MIB}


def test_before_anything_is_made_automatic_sizes_are_their_least_ones(tmp_path: Path) -> None:
    definition = with_auto(tmp_path, {**SLOT_A, "min": "5M"}, SLOT_B)
    assert [place.size for place in plan_partitions(definition).places] == [5 * MIB, MIB]
