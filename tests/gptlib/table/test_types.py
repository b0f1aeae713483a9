"""Names of partition types: the GUIDs that other tools know by them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from gptlib import Guid, InvalidValueError, type_guid, type_name
from gptlib.table.types import is_slot_type, type_description, type_names
from tests.gptlib.readers import run, tool
from tests.gptlib.tables import blank

if TYPE_CHECKING:
    from pathlib import Path

# Our name, and the name that sfdisk has for it.
OF_SFDISK = {
    "esp": "EFI System",
    "bios": "BIOS boot",
    "linux-data": "Linux filesystem",
    "linux-swap": "Linux swap",
    "linux-home": "Linux home",
    "linux-lvm": "Linux LVM",
    "linux-raid": "Linux RAID",
    "linux-reserved": "Linux reserved",
    "xbootldr": "Linux extended boot",
    "srv": "Linux server data",
    "var": "Linux variable data",
    "tmp": "Linux temporary data",
    "mswin-data": "Microsoft basic data",
    "root-x86-64": "Linux root (x86-64)",
    "root-x86-64-verity": "Linux root verity (x86-64)",
    "root-x86-64-verity-sig": "Linux root verity sign. (x86-64)",
    "usr-x86-64": "Linux /usr (x86-64)",
    "usr-x86-64-verity": "Linux /usr verity (x86-64)",
    "usr-x86-64-verity-sig": "Linux /usr verity sign. (x86-64)",
    "root-arm64": "Linux root (ARM-64)",
    "root-arm64-verity": "Linux root verity (ARM-64)",
    "root-arm64-verity-sig": "Linux root verity sign. (ARM-64)",
    "usr-arm64": "Linux /usr (ARM-64)",
    "usr-arm64-verity": "Linux /usr verity (ARM-64)",
    "usr-arm64-verity-sig": "Linux /usr verity sign. (ARM-64)",
    "chromeos-kernel": "ChromeOS kernel",
    "chromeos-rootfs": "ChromeOS root fs",
    "chromeos-reserved": "ChromeOS reserved",
    "coreos-usr": "CoreOS /usr",
    "coreos-resize": "CoreOS rootfs",
}
# seismograph's gpt.h; Debian has no tool that knows them by name.
OF_SEISMOGRAPH = {
    "coreos-usr": "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6",
    "coreos-resize": "3884dd41-8582-4404-b9a8-e9b84f2df50e",
    "coreos-reserved": "c95dc21a-df0e-4340-8d7b-26cbfa9a03e0",
    "coreos-root-raid": "be9067b9-ea49-4f15-b4f6-f36f8c9e1818",
    "linux-boot": "bc13c2ff-59e6-4262-a352-b275fd6f7172",
}
SLOT_TYPES = [
    "coreos-usr",
    "chromeos-kernel",
    "bottlerocket-boot",
    "usr-x86-64",
    "root-x86-64",
    "usr-arm64",
    "root-arm64",
]


def known_to_sfdisk() -> dict[str, str]:
    rows = re.findall(r"^([0-9A-F-]{36})  (.*)$", tool("sfdisk", "--list-types", "--label", "gpt"), re.MULTILINE)
    return {name: guid for guid, name in rows}


def test_names_stand_for_the_guids_that_sfdisk_lists() -> None:
    theirs = known_to_sfdisk()
    compared = {name: theirs[peer] for name, peer in OF_SFDISK.items() if peer in theirs}
    assert len(compared) >= 24
    assert {name: str(type_guid(name)) for name in compared} == compared


@pytest.mark.parametrize("name", OF_SEISMOGRAPH)
def test_names_stand_for_the_guids_of_seismograph(name: str) -> None:
    assert type_guid(name).text == OF_SEISMOGRAPH[name]


def test_the_aliases_of_cgpt_and_their_descriptions_are_known(ram: Path) -> None:
    aliases = re.findall(r"^    (\S+) +(.*)$", run("cgpt", "add", "-h").stdout, re.MULTILINE)
    assert len(aliases) == 10
    path = blank(ram / "disk.img")
    tool("cgpt", "create", path)
    for alias, description in aliases:
        assert type_description(type_guid(alias)) == description
        if alias != "unused":
            tool("cgpt", "add", "-i", 1, "-b", 64, "-s", 8, "-t", alias, path)
            assert str(type_guid(alias)) == tool("cgpt", "show", "-i", 1, "-t", path).strip()


def test_a_guid_is_accepted_wherever_a_name_is() -> None:
    assert type_guid("C12A7328-F81F-11D2-BA4B-00A0C93EC93B") == type_guid("efi") == type_guid("esp")
    assert type_name(type_guid("efi")) == "esp"


def test_an_unknown_type_is_shown_by_its_guid() -> None:
    guid = Guid.parse("11111111-2222-3333-4444-555555555555")
    assert type_name(guid) == type_description(guid) == str(guid)


def test_what_is_neither_name_nor_guid_is_refused() -> None:
    with pytest.raises(
        InvalidValueError, match="'nonsense' is neither a partition type that is known by name nor a GUID"
    ):
        type_guid("nonsense")


def test_slots_are_kept_in_the_types_of_the_known_systems() -> None:
    assert [name for name, guid, _ in type_names() if is_slot_type(guid) and type_name(guid) == name] == [
        name for name, _, _ in type_names() if name in SLOT_TYPES
    ]
    assert not is_slot_type(type_guid("efi"))


def test_every_name_is_its_own_or_an_alias_of_one_that_is() -> None:
    names = list(type_names())
    assert len(names) > len(OF_SEISMOGRAPH)
    for name, guid, _ in names:
        assert type_guid(name) == guid
        assert type_guid(type_name(guid)) == guid
