"""Definitions that are right, and what they mean."""

from __future__ import annotations

import re
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from image_builder.definition.load import load_definition, parse_definition
from image_builder.definition.model import SlotFile
from image_builder.definition.override import with_slot
from image_builder.errors import DefinitionError

EXAMPLES = Path(__file__).parents[3] / "examples"
MIB = 1 << 20
DATA_DISK = {"image": {"name": "data"}, "partition": [{"label": "DATA", "type": "linux-data", "size": "8M"}]}


def test_a_disk_of_one_partition_needs_no_more_than_its_name_label_type_and_size() -> None:
    definition = parse_definition(Path("data.toml"), DATA_DISK)
    (partition,) = definition.partitions
    assert (definition.name, definition.sector_size, definition.size) == ("data", 512, None)
    assert (definition.boot, definition.slot) == (None, None)
    assert (partition.number, partition.start, partition.size, partition.content) == (1, None, 8 * MIB, "empty")
    assert partition.attributes == 0


@pytest.mark.parametrize(
    ("text", "expected"), [("8M", 8 * MIB), ("1024K", MIB), ("1G", 1024 * MIB), ("1T", 1 << 40), ("2048s", MIB)]
)
def test_sizes_are_powers_of_1024_or_sectors(text: str, expected: int) -> None:
    fields = {**DATA_DISK, "partition": [{"label": "DATA", "type": "linux-data", "size": text}]}
    assert parse_definition(Path("data.toml"), fields).partitions[0].size == expected


def test_sectors_are_those_of_the_image() -> None:
    partition = {"label": "DATA", "type": "linux-data", "size": "512s", "start": "256s"}
    fields = {"image": {"name": "data", "sector-size": 4096}, "partition": [partition]}
    (read,) = parse_definition(Path("data.toml"), fields).partitions
    assert (read.size, read.start) == (2 * MIB, MIB)


@pytest.mark.parametrize("name", ["coreos-usr", "flatcar-rootfs", "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"])
def test_types_are_names_or_guids(name: str) -> None:
    fields = {**DATA_DISK, "partition": [{"label": "DATA", "type": name, "size": "8M"}]}
    (partition,) = parse_definition(Path("data.toml"), fields).partitions
    assert partition.type_guid.text == "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"


# Bits of UEFI 2.10 table 5.8, ChromeOS's disk format, and the Discoverable Partitions Specification.
@pytest.mark.parametrize(
    ("fields", "bits"),
    [
        ({"priority": 1, "tries": 0, "successful": True}, 0x0101 << 48),
        ({"priority": 15, "tries": 15}, 0x00FF << 48),
        ({"tries": 3}, 0x0030 << 48),
        ({"grow": True}, 1 << 59),
        ({"read-only": True}, 1 << 60),
        ({"no-auto": True}, 1 << 63),
        ({"legacy-boot": True}, 1 << 2),
        ({"required": True}, 1 << 0),
    ],
)
def test_attributes_are_words(fields: dict[str, object], bits: int) -> None:
    partition = {"label": "DATA", "type": "linux-data", "size": "8M", **fields}
    assert parse_definition(Path("data.toml"), {**DATA_DISK, "partition": [partition]}).partitions[0].attributes == bits


def test_partitions_without_a_number_follow_the_one_before_them() -> None:
    partitions = [
        {"label": label, "type": "linux-data", "size": "1M", **number}
        for label, number in [("A", {}), ("B", {"number": 6}), ("C", {})]
    ]
    read = parse_definition(Path("data.toml"), {**DATA_DISK, "partition": partitions}).partitions
    assert [partition.number for partition in read] == [1, 6, 7]


def test_guids_follow_from_the_seed_and_the_label_and_differ_otherwise() -> None:
    def guids(seed: str, label: str) -> tuple[str, str]:
        partition = {"label": label, "type": "linux-data", "size": "1M"}
        fields = {"image": {"name": "data", "seed": seed}, "partition": [partition]}
        read = parse_definition(Path("data.toml"), fields)
        return read.disk_guid.text, read.partitions[0].unique_guid.text

    assert guids("one", "A") == guids("one", "A")
    assert guids("one", "A")[0] == guids("one", "B")[0] != guids("two", "A")[0]
    assert len({guids("one", "A")[1], guids("one", "B")[1], guids("two", "A")[1]}) == 3
    assert all(UUID(text).version == 5 for text in guids("one", "A"))


def test_a_file_as_content_is_looked_for_beside_the_definition(tmp_path: Path) -> None:
    (tmp_path / "blob.bin").write_bytes(b"blob")
    path = tmp_path / "data.toml"
    path.write_text('image.name = "data"\n[[partition]]\nlabel="D"\ntype="linux-data"\nsize="1M"\ncontent="blob.bin"\n')
    assert load_definition(path).partitions[0].content == tmp_path / "blob.bin"


def test_the_os_release_of_a_slot_carries_its_version_and_is_quoted_for_shells() -> None:
    slot = {"kind": "tiny", "version": "1.2-rc1", "os-release": {"NAME": 'a "$b" `c` \\d', "ID": "x"}}
    partition = {"label": "A", "type": "coreos-usr", "size": "1M", "content": "slot"}
    read = parse_definition(Path("a.toml"), {"image": {"name": "a"}, "slot": slot, "partition": [partition]})
    assert read.slot is not None
    assert read.slot.release_text().splitlines() == [
        'ID="x"',
        'NAME="a \\"\\$b\\" \\`c\\` \\\\d"',
        'VERSION="1.2-rc1"',
        'VERSION_ID="1.2-rc1"',
    ]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.name)
def test_every_example_can_be_read(path: Path) -> None:
    definition = load_definition(path)
    assert definition.name == path.stem
    assert definition.boot is not None


def test_the_reference_shows_every_setting_and_the_defaults_that_it_names() -> None:
    shown = tomllib.loads((EXAMPLES / "reference.toml").read_text())
    bare = {
        "image": {"name": "reference"},
        "boot": {"kind": "uki"},
        "slot": {"kind": "tiny"},
        "partition": [
            {"label": "ESP", "type": "esp", "size": "64M", "content": "esp"},
            {"label": "USR-A", "type": "coreos-usr", "size": "64M"},
        ],
    }
    # What the program says that it knows, when it meets a word that it does not.
    for section in ("image", "boot", "slot", "partition"):
        fields: dict[str, Any] = deepcopy(bare)
        table = fields[section]
        (table[1] if section == "partition" else table)["xyzzy"] = 1
        with pytest.raises(DefinitionError, match="is not a setting; known are ") as raised:
            parse_definition(Path("bare.toml"), fields)
        known = set(re.findall(r"[a-z-]+", str(raised.value).partition("known are ")[2]))
        tables = shown[section] if isinstance(shown[section], list) else [shown[section]]
        assert known == {key for table in tables for key in table}
    slot = parse_definition(Path("bare.toml"), bare).slot
    assert slot == load_definition(EXAMPLES / "reference.toml").slot


def test_the_files_of_a_slot_are_looked_for_beside_the_definition(tmp_path: Path) -> None:
    (tmp_path / "motd").write_text("hello\n")
    slot = {"kind": "tiny", "files": {"/etc/motd": "motd", "/usr/bin/tool": "/bin/sh"}}
    partition = {"label": "A", "type": "coreos-usr", "size": "1M", "content": "slot"}
    fields = {"image": {"name": "a"}, "slot": slot, "partition": [partition]}
    read = parse_definition(tmp_path / "a.toml", fields).slot
    assert read is not None
    assert read.files == (SlotFile("/etc/motd", tmp_path / "motd"), SlotFile("/usr/bin/tool", Path("/bin/sh")))


def test_another_version_and_further_files_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definition = load_definition(EXAMPLES / "minimal.toml")
    assert with_slot(definition, None, None) is definition
    (tmp_path / "motd").write_text("hello\n")
    monkeypatch.chdir(tmp_path)
    changed = with_slot(definition, "2", {"/etc/motd": Path("motd")})
    assert changed.slot is not None
    assert (changed.slot.version, changed.slot.files) == ("2", (SlotFile("/etc/motd", Path("motd")),))
    more = with_slot(changed, None, {"/etc/issue": Path("motd"), "/etc/motd": Path("/etc/passwd")}).slot
    assert more is not None
    assert more.files == (SlotFile("/etc/issue", Path("motd")), SlotFile("/etc/motd", Path("/etc/passwd")))


@pytest.mark.parametrize(
    ("version", "files", "expected"),
    [
        ("2 beta", None, "slot.version: is '2 beta'; expected"),
        ("", None, "slot.version: is ''; expected"),
        (None, {"etc/x": Path("/etc/passwd")}, "slot.files: 'etc/x' is not a path in the slot; expected"),
        (None, {"/etc/x": Path("/nothing")}, "slot.files: '/etc/x' is '/nothing'; expected the path of a file"),
    ],
)
def test_a_version_or_file_that_cannot_be_is_refused(
    version: str | None, files: dict[str, Path] | None, expected: str
) -> None:
    with pytest.raises(DefinitionError, match=re.escape(expected)):
        with_slot(load_definition(EXAMPLES / "minimal.toml"), version, files)


@pytest.mark.parametrize(
    ("version", "files", "what"),
    [("2", None, "give a version to"), (None, {"/etc/x": Path("/etc/passwd")}, "lay files over")],
)
def test_an_image_without_a_slot_has_no_version_and_no_files(
    version: str | None, files: dict[str, Path] | None, what: str
) -> None:
    with pytest.raises(DefinitionError, match=f"slot: there is no such section, so there is nothing to {what}"):
        with_slot(parse_definition(Path("data.toml"), DATA_DISK), version, files)
