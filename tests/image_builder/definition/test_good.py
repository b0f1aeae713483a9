"""Definitions that are right, and what they mean."""

from __future__ import annotations

import re
import tomllib
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from image_builder.boot.cmdline import kernel_command_line
from image_builder.content.empty import Empty
from image_builder.content.esp import Esp
from image_builder.content.file import FileContent
from image_builder.content.slot import Slot
from image_builder.content.state import State
from image_builder.content.systems import SYSTEMS
from image_builder.content.tiny import Tiny
from image_builder.definition.load import load_definition, parse_definition
from image_builder.definition.model import AutoSize, SlotFile
from image_builder.definition.override import the_slot, with_slot
from image_builder.errors import DefinitionError

EXAMPLES = Path(__file__).parents[3] / "examples"
MIB = 1 << 20
DATA_DISK = {"image": {"name": "data"}, "partition": [{"label": "DATA", "type": "linux-data", "size": "8M"}]}


def test_a_disk_of_one_partition_needs_no_more_than_its_name_label_type_and_size() -> None:
    definition = parse_definition(Path("data.toml"), DATA_DISK)
    (partition,) = definition.partitions
    assert (definition.name, definition.sector_size, definition.size) == ("data", 512, None)
    assert (definition.boot, definition.slots, definition.outputs) == (None, (), ("raw",))
    assert (partition.number, partition.start, partition.size) == (1, None, 8 * MIB)
    assert partition.content == Empty(stated=False)
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
    assert load_definition(path).partitions[0].content == FileContent(tmp_path / "blob.bin")


def test_the_os_release_of_a_slot_carries_its_version_and_is_quoted_for_shells() -> None:
    slot = {"kind": "tiny", "version": "1.2-rc1", "os-release": {"NAME": 'a "$b" `c` \\d', "ID": "x"}}
    partition = {"label": "A", "type": "coreos-usr", "size": "1M", "content": "slot.base"}
    read = parse_definition(Path("a.toml"), {"image": {"name": "a"}, "slot": {"base": slot}, "partition": [partition]})
    (only,) = read.slots
    assert isinstance(only.system, Tiny)
    assert only.system.release_text(only.version).splitlines() == [
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


BARE: dict[str, Any] = {
    "image": {"name": "reference"},
    "boot": {"kind": "uki"},
    "slot": {"base": {"kind": "tiny"}},
    "esp": {},
    "state": {"data": {}},
    "partition": [{"label": "ESP", "type": "esp", "size": "64M", "content": "esp"}],
}
OF_ALL_SLOTS = {"kind", "type", "version", "verity"}
OF_ALL_FILES = {*OF_ALL_SLOTS, "filesystem", "compression", "kernel", "owners", "unsupported", "files"}


def known_in(*place: str | int, kind: str = "tiny") -> set[str]:
    """What the program says that it knows in a table, when it meets a word that it does not."""
    fields = deepcopy(BARE)
    fields["slot"]["base"]["kind"] = kind
    table: Any = fields
    for key in place:
        table = table[key]
    table["xyzzy"] = 1
    with pytest.raises(DefinitionError) as raised:
        parse_definition(Path("bare.toml"), fields)
    (told,) = [mistake for mistake in raised.value.mistakes if mistake.key.endswith("xyzzy")]
    return set(told.detail.partition("is not a setting; known are ")[2].split(", "))


def shown_in_the_reference() -> dict[str, Any]:
    """The reference, with the settings that are for other images."""
    text = (EXAMPLES / "reference.toml").read_text()
    return tomllib.loads(re.sub(r"^#(?=[\w\[])", "", text, flags=re.MULTILINE))


def test_the_reference_shows_every_setting() -> None:
    shown = shown_in_the_reference()
    for section in ("image", "boot", "esp"):
        assert set(shown[section]) == known_in(section)
    assert set(shown["state"]["data"]) == known_in("state", "data")
    assert {key for partition in shown["partition"] for key in partition} == known_in("partition", 0)


def test_the_reference_shows_every_kind_of_slot_with_all_that_is_its_own() -> None:
    slots = shown_in_the_reference()["slot"].values()
    assert {slot["kind"] for slot in slots} == set(SYSTEMS)
    assert {key for slot in slots for key in slot} >= OF_ALL_FILES
    for slot in slots:
        known = known_in("slot", "base", kind=slot["kind"])
        assert set(slot) <= known
        assert known - set(slot) <= (OF_ALL_SLOTS if slot["kind"] == "image" else OF_ALL_FILES)


def test_the_defaults_that_the_reference_names_are_those() -> None:
    reference, bare = (
        (EXAMPLES / "reference.toml").read_text(),
        parse_definition(
            Path("bare.toml"),
            {
                **BARE,
                "state": {},
                "partition": [{"label": "A", "type": "coreos-usr", "size": "1M"}, *BARE["partition"]],
            },
        ),
    )
    shown = load_definition(EXAMPLES / "reference.toml")
    assert bare.slots == shown.slots
    assert bare.outputs == shown.outputs
    assert bare.boot is not None
    assert shown.boot == replace(bare.boot, cmdline="quiet")
    assert "default: 25%" in reference
    assert [partition.size for partition, _ in shown.holding(State)] == [AutoSize(128 * MIB, 256 * MIB, 0, 25)]


def test_the_files_of_a_slot_are_looked_for_beside_the_definition(tmp_path: Path) -> None:
    (tmp_path / "motd").write_text("hello\n")
    slot = {"kind": "tiny", "files": {"/etc/motd": "motd", "/usr/bin/tool": "/bin/sh"}}
    partition = {"label": "A", "type": "coreos-usr", "size": "1M", "content": "slot.base"}
    fields = {"image": {"name": "a"}, "slot": {"base": slot}, "partition": [partition]}
    read = parse_definition(tmp_path / "a.toml", fields).slots[0]
    assert read.files == (SlotFile("/etc/motd", tmp_path / "motd"), SlotFile("/usr/bin/tool", Path("/bin/sh")))


def test_another_version_and_further_files_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definition = load_definition(EXAMPLES / "minimal.toml")
    assert with_slot(definition, None, None) is definition
    (tmp_path / "motd").write_text("hello\n")
    monkeypatch.chdir(tmp_path)
    changed = with_slot(definition, "2", {"/etc/motd": Path("motd")})
    (slot,) = changed.slots
    assert (slot.version, slot.files) == ("2", (SlotFile("/etc/motd", Path("motd")),))
    # What the partition holds is what an update is made of.
    assert [content for _, content in changed.holding(Slot)] == [slot]
    (more,) = with_slot(changed, None, {"/etc/issue": Path("motd"), "/etc/motd": Path("/etc/passwd")}).slots
    # A path of the definition is looked for beside it, wherever the command line is.
    assert more.files == (SlotFile("/etc/issue", Path("motd")), SlotFile("/etc/motd", Path("/etc/passwd")))


@pytest.mark.parametrize(
    ("version", "files", "expected"),
    [
        ("2 beta", None, "slot.base.version: is '2 beta'; expected"),
        ("", None, "slot.base.version: is ''; expected"),
        (None, {"etc/x": Path("/etc/passwd")}, "slot.base.files: 'etc/x' is not a path in it; expected"),
        (None, {"/etc/x": Path("/nothing")}, "slot.base.files: '/etc/x' is '/nothing'; expected the path of a file"),
    ],
)
def test_a_version_or_file_that_cannot_be_is_refused(
    version: str | None, files: dict[str, Path] | None, expected: str
) -> None:
    with pytest.raises(DefinitionError, match=re.escape(expected)):
        with_slot(load_definition(EXAMPLES / "minimal.toml"), version, files)


@pytest.mark.parametrize(("version", "files"), [("2", None), (None, {"/etc/x": Path("/etc/passwd")})])
def test_an_image_without_a_slot_has_no_version_and_no_files(
    version: str | None, files: dict[str, Path] | None
) -> None:
    with pytest.raises(DefinitionError, match=r"slot: there is no slot; expected a section \[slot\.NAME\]"):
        with_slot(parse_definition(Path("data.toml"), DATA_DISK), version, files)


def test_of_several_slots_the_one_that_is_named_is_changed() -> None:
    fields = {
        **DATA_DISK,
        "slot": {"base": {"kind": "tiny"}, "debug": {"kind": "tiny"}},
        "partition": [{"label": "A", "type": "coreos-usr", "size": "1M", "content": "slot.debug"}],
    }
    definition = parse_definition(Path("two.toml"), fields)
    changed = with_slot(definition, "2", slot="debug")
    assert [(slot.name, slot.version) for slot in changed.slots] == [("slot.base", "1"), ("slot.debug", "2")]
    assert changed.partitions[0].content is changed.slots[1]
    with pytest.raises(DefinitionError, match=r"slot: there are 2; give one of them with --slot: base, debug"):
        with_slot(definition, "2")
    with pytest.raises(DefinitionError, match=r"slot.other: there is no such section; expected one of base, debug"):
        the_slot(definition, "other")


def test_a_label_may_hold_blanks_and_other_letters() -> None:
    fields = {**DATA_DISK, "partition": [{"label": "My Data Ω", "type": "linux-data", "size": "1M"}]}
    assert parse_definition(Path("data.toml"), fields).partitions[0].label == "My Data Ω"


def test_formats_are_those_that_are_asked_for_each_once() -> None:
    fields = {**DATA_DISK, "image": {"name": "data", "outputs": ["qcow2", "raw", "qcow2"]}}
    assert parse_definition(Path("data.toml"), fields).outputs == ("qcow2", "raw")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, AutoSize(MIB, None, 0, 25)),
        ({"min": "8M", "max": "16M"}, AutoSize(8 * MIB, 16 * MIB, 0, 25)),
        ({"headroom": "10%"}, AutoSize(MIB, None, 0, 10)),
        ({"headroom": "0%"}, AutoSize(MIB, None, 0, 0)),
        ({"headroom": "4M"}, AutoSize(MIB, None, 4 * MIB, 0)),
    ],
)
def test_a_size_that_follows_from_the_content_has_limits_and_headroom(
    tmp_path: Path, fields: dict[str, str], expected: AutoSize
) -> None:
    (tmp_path / "blob").touch()
    partition = {"label": "D", "type": "linux-data", "size": "auto", "content": "blob", **fields}
    (read,) = parse_definition(tmp_path / "data.toml", {**DATA_DISK, "partition": [partition]}).partitions
    assert read.size == expected


def test_several_partitions_keep_what_lasts_each_in_its_way(tmp_path: Path) -> None:
    (tmp_path / "seed").mkdir()
    fields = {
        **DATA_DISK,
        "state": {"data": {"source": "seed", "owners": "root", "mount": "/srv/data"}},
        "partition": [
            {"label": "STATE", "type": "linux-data", "size": "16M", "content": "state"},
            {"label": "DATA", "type": "linux-data", "size": "16M", "content": "state.data"},
        ],
    }
    contents = [content for _, content in parse_definition(tmp_path / "data.toml", fields).holding(State)]
    assert contents == [State(), State("data", tmp_path / "seed", "root", "/srv/data")]


def test_files_can_stand_beside_the_boot_loader(tmp_path: Path) -> None:
    (tmp_path / "logo.bmp").touch()
    fields = {
        **DATA_DISK,
        "esp": {"files": {"/logo.bmp": "logo.bmp"}},
        "partition": [{"label": "ESP", "type": "esp", "size": "64M", "content": "esp"}],
    }
    (held,) = parse_definition(tmp_path / "data.toml", fields).holding(Esp)
    assert held[1].files == (SlotFile("/logo.bmp", tmp_path / "logo.bmp"),)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "gpt panic=-1 oops=panic console=tty0 console=ttyS0"),
        ({"cmdline": "quiet"}, "gpt panic=-1 oops=panic console=tty0 console=ttyS0 quiet"),
        ({"cmdline": "quiet", "cmdline-mode": "replace"}, "quiet"),
    ],
)
def test_a_command_line_is_added_to_ours_or_takes_its_place(fields: dict[str, str], expected: str) -> None:
    definition = tomllib.loads((EXAMPLES / "minimal.toml").read_text())
    definition["boot"] = {"kind": "uki", **fields}
    boot = parse_definition(Path("minimal.toml"), definition).boot
    assert boot is not None
    assert kernel_command_line(boot) == expected


def a_definition() -> dict[str, Any]:
    fields = tomllib.loads((EXAMPLES / "minimal.toml").read_text())
    fields["esp"] = {"files": {"/x": "/etc/passwd"}}
    fields["state"] = {"data": {"mount": "/srv"}}
    fields["slot"]["other"] = {"kind": "debian", "packages": ["ssh"], "files": {"/x": "/etc/passwd"}}
    return fields


def places_in(value: object, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in entries for place in [(*above, key), *places_in(inner, (*above, key))]]


ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.dates(), st.times())
    | st.sampled_from(
        ["auto", "esp", "slot.base", "state", "1M", "tiny", "tree", "image", "/etc/passwd", "/", "\0", "replace"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
).filter(lambda value: value is not None)


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(st.data())
def test_whatever_stands_at_a_key_is_taken_or_refused_in_one_line_for_each_mistake(data: st.DataObject) -> None:
    fields = a_definition()
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(places_in(fields)))
        table = fields
        for key in place[:-1]:
            table = table[key]
        if data.draw(st.booleans()):
            table[place[-1]] = data.draw(ANYTHING)
        else:
            del table[place[-1]]
        if not places_in(fields):
            return
    try:
        parse_definition(Path("a.toml"), fields)
    except DefinitionError as error:
        assert error.mistakes
        lines = str(error).split("\n")
        assert len(lines) == len(error.mistakes) == len(set(lines))
        assert all(line.startswith("a.toml: ") and line.isprintable() for line in lines)
