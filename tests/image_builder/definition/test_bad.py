"""Every mistake in a definition gives one line: the file, the key, what it is, what was expected."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from image_builder.definition.load import load_definition
from image_builder.errors import DefinitionError
from tests.image_builder.definition.mistakes import GOOD, refusal, refused

if TYPE_CHECKING:
    from pathlib import Path


def test_the_definition_that_the_others_are_mistakes_in_is_good(tmp_path: Path) -> None:
    (tmp_path / "test.toml").write_text(GOOD)
    assert len(load_definition(tmp_path / "test.toml").partitions) == 3


@pytest.mark.parametrize(
    ("good", "bad", "message"),
    [
        # Keys and sections
        ('name = "test"', 'nmae = "test"', "image.nmae: is not a setting; did you mean 'name'?"),
        ('name = "test"', 'name = "test"\nsede = "x"', "image.sede: is not a setting; did you mean 'seed'?"),
        (
            "[boot]",
            "[boot]\nxyzzy = 1",
            "boot.xyzzy: is not a setting; known are kind, cmdline, cmdline-mode, kernel, modules, policy",
        ),
        ("[image]", "[imgae]", "imgae: is not a setting; did you mean 'image'?"),
        ("[slot.base]", "[slots]", "slots: is not a setting; did you mean 'slot'?"),
        ("[boot]", "[[boot]]", "boot: is a list; expected a table"),
        ("[[partition]]", "[[partitions]]", "partitions: is not a setting; did you mean 'partition'?"),
        ('"EFI-SYSTEM"', '"EFI-SYSTEM"\nlable = "x"', "partition[1].lable: is not a setting; did you mean 'label'?"),
        # Image
        ('name = "test"', 'name = ""', "image.name: is ''; expected a name"),
        ('name = "test"', 'name = "../test"', "image.name: is '../test'; expected a name"),
        ('name = "test"', "name = 5", "image.name: is 5; expected a name"),
        ('name = "test"', 'name = "test"\nseed = 5', "image.seed: is 5; expected a text"),
        ('name = "test"', 'name = "test"\nsector-size = 1024', "image.sector-size: is 1024; expected 512 or 4096"),
        ('name = "test"', 'name = "test"\nsector-size = true', "image.sector-size: is true; expected 512 or 4096"),
        ('name = "test"', 'name = "test"\nuuid = "12"', "image.uuid: '12' is not a GUID; expected 8-4-4-4-12"),
        (
            'name = "test"',
            'name = "test"\nuuid = "00000000-0000-0000-0000-000000000000"',
            "image.uuid: is the zero GUID; expected one that identifies something",
        ),
        # Values that no set and no table of words can hold
        ('name = "test"', 'name = "test"\nsector-size = [512]', "image.sector-size: is a list; expected 512 or 4096"),
        ('name = "test"', 'name = "test"\noutputs = [["raw"]]', "image.outputs: holds a list; expected some of raw, "),
        ('name = "test"', 'name = "test"\noutputs = []', "image.outputs: is an empty list; expected some of raw, "),
        # Sizes
        ('size = "64M"', f'size = "{"9" * 5000}M"', f"partition[1].size: is '{'9' * 5000}M'; expected a size such as"),
        ('size = "64M"', "", "partition[1].size: is missing; expected a size such as"),
        ('size = "64M"', "size = 64", "partition[1].size: is 64; expected a size such as"),
        ('size = "64M"', 'size = "64MB"', "partition[1].size: is '64MB'; expected a size such as"),
        ('size = "64M"', 'size = "6.4M"', "partition[1].size: is '6.4M'; expected a size such as"),
        ('size = "64M"', 'size = "-64M"', "partition[1].size: is '-64M'; expected a size such as"),
        ('size = "64M"', 'size = "0M"', "partition[1].size: is '0M'; expected more than nothing"),
        (
            'size = "64M"',
            'size = "9999999999T"',
            "partition[1].size: is '9999999999T'; expected more than nothing and less",
        ),
        (
            'size = "64M"',
            'size = "64M"\nstart = "100K"',
            "partition[1].start: is '100K', 102400 bytes; expected a multiple of",
        ),
        (
            'size = "64M"',
            'size = "2047s"',
            "partition[1].size: is '2047s', 1048064 bytes; expected a multiple of 1 MiB",
        ),
        # Partitions
        ('label = "EFI-SYSTEM"', "", "partition[1].label: is missing; expected a text without quotes"),
        (
            '"EFI-SYSTEM"',
            "'EFI\"SYSTEM'",
            "partition[1].label: is 'EFI\"SYSTEM'; expected a text without quotes",
        ),
        (
            '"EFI-SYSTEM"',
            '" EFI"',
            "partition[1].label: is ' EFI'; expected a text that does not begin or end with a blank",
        ),
        ('"EFI-SYSTEM"', '" "', "partition[1].label: is ' '; expected a text without quotes"),
        ('"EFI-SYSTEM"', f'"{"x" * 37}"', f"partition[1].label: is '{'x' * 37}': 37 UTF-16 units; at most 36 fit"),
        ('"EFI-SYSTEM"', '"USR-A"', "partition[2].label: is USR-A, which partition 'USR-A' has already"),
        ('type = "esp"', 'type = "epsilon"', "partition[1].type: 'epsilon' is neither a partition type that is known"),
        ('type = "esp"', 'type = "unused"', "partition[1].type: is the type of unused entries; expected the type of a"),
        ('type = "esp"', "type = 1", "partition[1].type: '1' is neither"),
        (
            '"EFI-SYSTEM"',
            '"EFI-SYSTEM"\nnumber = 0',
            "partition[1].number: is 0; expected a whole number from 1 to 128",
        ),
        (
            '"EFI-SYSTEM"',
            '"EFI-SYSTEM"\nnumber = 129',
            "partition[1].number: is 129; expected a whole number from 1 to 128",
        ),
        (
            '"EFI-SYSTEM"',
            '"EFI-SYSTEM"\nnumber = 128',
            "partition[2].number: is missing; expected a whole number from 1 to 128",
        ),
        ('"USR-A"', '"USR-A"\nnumber = 1', "partition[2].number: is 1, which partition 'EFI-SYSTEM' has already"),
        ("priority = 1", "priority = 16", "partition[2].priority: is 16; expected a whole number from 0 to 15"),
        ("priority = 1", "priority = -1", "partition[2].priority: is -1; expected a whole number from 0 to 15"),
        ("priority = 1", "priority = true", "partition[2].priority: is true; expected a whole number from 0 to 15"),
        ("priority = 1", 'priority = "1"', "partition[2].priority: is '1'; expected a whole number from 0 to 15"),
        ("successful = true", "successful = 1", "partition[2].successful: is 1; expected true or false"),
        ("successful = true", "tries = 1.5", "partition[2].tries: is 1.5; expected a whole number from 0 to 15"),
        (
            'content = "slot.base"',
            "content = 3",
            "partition[2].content: is 3; expected one of esp, slot.base, state, empty or the path",
        ),
        (
            'content = "slot.base"',
            'content = "slots"',
            "partition[2].content: is 'slots'; expected one of esp, slot.base, state, empty",
        ),
        # Boot and slot
        ('kind = "uki"', "", "boot.kind: is missing; expected 'uki'"),
        ('kind = "uki"', 'kind = "grub"', "boot.kind: is 'grub'; expected 'uki'"),
        (
            'kind = "uki"',
            'kind = "uki"\npolicy = "none"',
            "boot.policy: is 'none'; expected 'gptprio' or 'cgpt-next' or",
        ),
        (
            'kind = "uki"',
            'kind = "uki"\ncmdline = "a\\nb"',
            "boot.cmdline: is 'a\\nb'; expected one line of printable ASCII",
        ),
        (
            'kind = "uki"',
            'kind = "uki"\non-nothing-bootable = "halt"',
            "boot.on-nothing-bootable: is 'halt'; expected 'rescue'",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nversion = 1',
            "slot.base.version: is 1; expected a text of lower-case letters",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nversion = "V1"',
            "slot.base.version: is 'V1'; expected a text of lower-case letters",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nfiles = "x"',
            "slot.base.files: is 'x'; expected a table",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nfiles."etc/x" = "test.toml"',
            "slot.base.files.etc/x: is not a path in it; expected one that begins with '/'",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nfiles."/etc/../x" = "test.toml"',
            "slot.base.files./etc/../x: is not a path in it; expected one",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nfiles."/etc/" = "test.toml"',
            "slot.base.files./etc/: is not a path in it; expected one",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nfiles."/" = "test.toml"',
            "slot.base.files./: is not a path in it; expected one",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nfiles."/a//b" = "test.toml"',
            "slot.base.files./a//b: is not a path in it; expected one",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nfiles."/a\\n" = "test.toml"',
            "slot.base.files./a\\n: is not a path in it; expected one",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nfiles."/etc/x" = 5',
            "slot.base.files./etc/x: is 5; expected the path of a file",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nfiles."/etc/x" = ""',
            "slot.base.files./etc/x: is ''; expected the path of a file",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nfiles.etc.x = "test.toml"',
            "slot.base.files.etc: is not a path in it; expected one",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nfiles."/etc/x" = "nothing"',
            "slot.base.files./etc/x: is 'nothing'; expected the path of a file, and ",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nfiles."/etc/x" = "."',
            "slot.base.files./etc/x: is '.'; expected the path of a file, and ",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nfiles."/x" = "test.toml"\nfiles."/x/y" = "test.toml"',
            "slot.base.files./x/y: lies below '/x', which is a file here; expected at most one",
        ),
        ('kind = "tiny"', 'kind = "tiny"\nfilesystem = "vfat"', "slot.base.filesystem: is 'vfat'; expected 'erofs' or"),
        (
            'kind = "tiny"',
            'kind = "tiny"\ntype = "esp"',
            "slot.base.type: is 'esp'; expected a GUID or one of coreos-usr",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nmodules = "loop"',
            "slot.base.modules: is 'loop'; expected a list of the names",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nmodules = ["a/b"]',
            "slot.base.modules: is 'a/b'; expected the name of a kernel module",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nos-release.VERSION = "2"',
            "slot.base.os-release.VERSION: follows from the version of the slot",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nos-release.id = "x"',
            "slot.base.os-release.id: is not a field name of os-release(5)",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\nos-release.ID = "a\\nb"',
            "slot.base.os-release.ID: is 'a\\nb'; expected one line of text",
        ),
        # What the parts are to each other
        (
            '[boot]\nkind = "uki"',
            "",
            "partition[1].content: is 'esp'; expected a section [boot]",
        ),
        (
            '[slot.base]\nkind = "tiny"',
            "",
            "partition[2].content: is 'slot.base'; expected one of esp, state, empty or the path",
        ),
        ('content = "esp"', "", "boot: has nowhere to go; expected a partition with content = 'esp'"),
        (
            'content = "slot.base"',
            'content = "esp"',
            "partition[2].content: is 'esp', as that of 'EFI-SYSTEM'; expected at most one",
        ),
        (
            'type = "esp"',
            'type = "linux-data"',
            "partition[1].type: is not esp; expected that where the content is 'esp'",
        ),
        (
            'kind = "tiny"',
            'kind = "tiny"\ntype = "usr-arm64"',
            "slot.base.type: is usr-arm64; expected the type of at least one partition",
        ),
        (
            'type = "coreos-usr"\nsize = "48M"\ncontent = "slot.base"',
            'type = "linux-data"\nsize = "48M"\ncontent = "slot.base"',
            "partition[2].type: is not that of slots; expected coreos-usr (slot.base.type)",
        ),
        (
            'content = "slot.base"',
            "",
            "partition[2].content: is empty, but priority=1 tries=0 successful=1 would have it booted; expected 0, 0, false",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_was_expected(
    tmp_path: Path, good: str, bad: str, message: str
) -> None:
    assert good in GOOD
    found = refusal(tmp_path, GOOD.replace(good, bad, 1))
    assert found.startswith(message)
    assert any(word in found for word in ("expected", "did you mean", "known are", "set that instead", "at most"))


def test_all_mistakes_in_the_files_of_a_slot_are_told_at_once(tmp_path: Path) -> None:
    files = 'kind = "tiny"\nfiles."x" = "test.toml"\nfiles."/y" = "nothing"\nfiles."/z" = "/dev/null"\nfiles."/good" = "test.toml"'
    found = refused(tmp_path / "test.toml", GOOD.replace('kind = "tiny"', files))
    assert [line.split(": ")[:2] for line in found] == [
        ["7", "slot.base.files.x"],
        ["8", "slot.base.files./y"],
        ["9", "slot.base.files./z"],
    ]
    assert found[1].endswith("/nothing does not exist")
    assert found[2].endswith("/dev/null is not a regular file")


@pytest.mark.skipif(os.access("/etc/shadow", os.R_OK), reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told_before_anything_is_built(tmp_path: Path) -> None:
    (tmp_path / "secret").touch(mode=0)
    found = refusal(tmp_path, GOOD.replace('kind = "tiny"', 'kind = "tiny"\nfiles."/x" = "secret"'))
    assert found.endswith("/secret cannot be")


def test_no_partitions_is_no_disk(tmp_path: Path) -> None:
    expected = "partition: there is none; expected at least one [[partition]]"
    assert refusal(tmp_path, 'image.name = "test"\n') == expected


def test_what_is_no_toml_is_told_with_the_line(tmp_path: Path) -> None:
    assert "is not a TOML file" in refusal(tmp_path, '[image]\nname = "test\n')
    assert "line 2" in refusal(tmp_path, '[image]\nname = "test\n')


def test_what_is_no_text_is_told(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DefinitionError, match=r"disk\.raw: is not a TOML file"):
        load_definition(path)


@pytest.mark.parametrize(("name", "reason"), [("nothing.toml", "No such file"), ("", "Is a directory")])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(DefinitionError, match=f"cannot be read: {reason}"):
        load_definition(tmp_path / name)


def test_partitions_after_one_without_a_number_take_none_of_others(tmp_path: Path) -> None:
    text = GOOD.replace('label = "USR-A"', 'label = "USR-A"\nnumber = 128')
    more = '[[partition]]\nlabel = "MORE"\ntype = "linux-data"\nsize = "1M"\n'
    assert refusal(tmp_path, text + more).startswith("partition[3].number: is missing; expected a whole number from 1")
