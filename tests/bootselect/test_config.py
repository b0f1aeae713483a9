"""Settings of the boot path: a typing error must not keep a machine from booting."""

from __future__ import annotations

from bootselect.initramfs.config import parse_config


def test_the_command_line_overrides_the_file() -> None:
    config = parse_config("# comment\n\npolicy=chromeos\nfstype=squashfs\n", "quiet bootselect.policy=cgpt-next gpt")
    assert (config.policy, config.fstype, config.problems) == ("cgpt-next", "squashfs", ())


def test_what_cannot_be_used_is_named_and_the_default_stands() -> None:
    config = parse_config("policy=newest\nslot-type=usb\nwait=soon\ncolour=red\n", "bootselect.policy")
    assert (config.policy, config.wait) == ("gptprio", 30.0)
    assert str(config.slot_type) == "5DFBF5F4-2848-4BAC-AA5E-0D9A20B745A6"
    assert [problem.partition(": ")[0] for problem in config.problems] == ["boot.conf"] * 4 + ["command line"]
    assert "unknown policy; expected one of gptprio, cgpt-next, chromeos" in config.problems[0]


def test_the_disk_comes_from_the_command_line() -> None:
    config = parse_config("", "boot-disk=/dev/sdb usr=PARTUUID=7130C94A-213A-4E5A-8E26-6CCE9662F132 root=/dev/sda9")
    assert config.disk == "/dev/sdb"
    assert config.partuuids == ("7130c94a-213a-4e5a-8e26-6cce9662f132",)
