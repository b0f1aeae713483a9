"""Settings of the boot path: a typing error must not keep a machine from booting."""

from __future__ import annotations

import pytest

from bootselect.initramfs.cmdline import NODE, PARTLABEL, PARTUUID, Name, name_of, split
from bootselect.initramfs.cmdline import UUID as FS_UUID
from bootselect.initramfs.config import parse_config


def test_the_command_line_overrides_the_file() -> None:
    config = parse_config("# comment\n\npolicy=chromeos\nfstype=squashfs\n", "quiet bootselect.policy=cgpt-next gpt")
    assert (config.policy.name, config.fstype, config.problems) == ("cgpt-next", "squashfs", ())


def test_what_cannot_be_used_is_named_and_the_default_stands() -> None:
    config = parse_config("policy=newest\nslot-type=usb\nwait=soon\ncolour=red\n", "bootselect.policy")
    assert (config.policy.name, config.wait) == ("gptprio", 30.0)
    assert str(config.slot_type) == "5DFBF5F4-2848-4BAC-AA5E-0D9A20B745A6"
    assert [problem.partition(": ")[0] for problem in config.problems] == ["boot.conf"] * 4 + ["command line"]
    assert "unknown policy; expected one of gptprio, cgpt-next, chromeos" in config.problems[0]


@pytest.mark.parametrize("seconds", ["\u00b2", "1.5", "-1", "86401", "9" * 400, ""])
def test_a_time_that_is_none_is_named_and_the_default_stands(seconds: str) -> None:
    config = parse_config(f"wait={seconds}\nsettle={seconds}\n", f"bootselect.watchdog={seconds}")
    assert (config.wait, config.settle, config.watchdog, len(config.problems)) == (30, 3, 0, 3)


UUID = "7130c94a-213a-4e5a-8e26-6cce9662f132"
OTHER = "e03dd35c-7c2d-4a47-b3fe-27f15780a57c"


def test_the_disk_comes_from_the_command_line() -> None:
    config = parse_config("boot-disk=/dev/sdx", f"boot-disk=/dev/sda boot-disk=/dev/sdb usr=PARTUUID={UUID.upper()}")
    assert config.disk == Name(NODE, "/dev/sdb", "/dev/sdb")
    assert config.partuuids == (UUID,)
    assert parse_config("", "boot-disk= quiet").disk is None


@pytest.mark.parametrize("parameter", ["usr", "root", "mount.usr", "verity.usr"])
@pytest.mark.parametrize(
    "value",
    [
        f"PARTUUID={UUID}",
        f"PARTUUID={UUID.upper()}",
        f"partuuid={UUID}",
        f'"PARTUUID={UUID}"',
        f"/dev/disk/by-partuuid/{UUID}",
        f"/dev/disk/by-partuuid/{UUID.upper()}",
    ],
)
def test_every_spelling_of_a_partition_that_a_boot_loader_has_chosen_is_understood(parameter: str, value: str) -> None:
    assert parse_config("", f"quiet {parameter}={value} ro").chosen == (UUID,)


def test_the_most_specific_parameter_comes_first_and_its_last_value() -> None:
    flatcar = f"root=PARTUUID=1 mount.usr=/dev/mapper/usr verity.usr=PARTUUID={OTHER} verity.usr=PARTUUID={UUID}"
    assert parse_config("", flatcar).chosen == (UUID, OTHER, "1")
    assert parse_config("", "root=LABEL=ROOT usr=/dev/sda3 rootflags=PARTUUID=1 usrhash=PARTUUID=2").chosen == ()


def test_the_word_of_the_selector_before_this_one_is_no_setting_of_a_person() -> None:
    config = parse_config("", f"root=PARTUUID={OTHER} bootselect.chosen={UUID.upper()}")
    assert (config.handed_over, config.chosen, config.partuuids) == (UUID, (OTHER,), (UUID, OTHER))
    assert config.problems == ()
    assert parse_config(f"chosen={UUID}", "").problems == (f"boot.conf: 'chosen={UUID}': unknown setting",)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("/dev/md127", NODE, "/dev/md127"),
        ("/dev/disk/by-id/ata-X", NODE, "/dev/disk/by-id/ata-X"),
        ("/dev/disk/by-partuuid/ABC", PARTUUID, "abc"),
        ("/dev/disk/by-uuid/ABCD-0123", FS_UUID, "abcd-0123"),
        ("UUID=ABCD-0123", FS_UUID, "abcd-0123"),
        ("PARTLABEL=EFI-SYSTEM", PARTLABEL, "EFI-SYSTEM"),
        (r"/dev/disk/by-partlabel/a\x20b\xc3\xbc\x2fc", PARTLABEL, "a b\u00fc/c"),
        (r"/dev/disk/by-partlabel/a\xzz", PARTLABEL, r"a\xzz"),
        ("LABEL=x", NODE, "LABEL=x"),
    ],
)
def test_what_names_a_disk_is_a_path_or_an_identity(text: str, kind: str, value: str) -> None:
    assert name_of(text) == Name(kind, value, text)


def test_blanks_within_quotes_separate_nothing() -> None:
    assert split('quiet boot-disk="PARTLABEL=my disk"  "a b=c d"\tro\n') == [
        "quiet",
        "boot-disk=PARTLABEL=my disk",
        "a b=c d",
        "ro",
    ]
