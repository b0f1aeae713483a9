"""The boot path up to the mounted slot, with image files for disks and a mount that only pretends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bootselect.decision import Decision
from bootselect.errors import NothingBootableError
from bootselect.initramfs import mount
from bootselect.initramfs.config import parse_config
from bootselect.initramfs.log import Log
from bootselect.initramfs.selector import boot_disk, leave_decision, partition_node

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import SlotImage

CONFIG = parse_config("", "")


class Machine:
    """An initramfs with a console, a kernel log, and slots whose contents the test decides."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kmsg, self.console, self.root = folder / "kmsg", folder / "console", folder / "slot"
        for file in (self.kmsg, self.console):
            file.touch()
        (folder / "printk").write_text("7\t4\t1\t7\n")
        self.log = Log(str(self.kmsg), str(self.console), str(folder / "printk"))
        self.broken: dict[str, str] = {}
        self.run_argv: list[list[str]] = []
        monkeypatch.setattr(mount, "SLOT_ROOT", str(self.root))
        monkeypatch.setattr(mount.mount_slot, "__defaults__", (str(self.root),))

    def run(self, argv: list[str]) -> tuple[int, str]:
        self.run_argv.append(argv)
        if argv[0] == "umount":
            return 0, ""
        how = self.broken.get(argv[-2][-1], "")
        if how == "mount":
            return 32, "mounting failed: Invalid argument"
        for name, text in {"etc/os-release": 'VERSION="7"\n', "sbin/init": ""}.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if how != name:
                path.write_text(text)
        return 0, ""

    def boot(self, image: SlotImage, cmdline: str = "") -> Decision:
        for number in range(3, 3 + len(image.attributes())):
            Path(partition_node(str(image.path), number)).touch()
        return boot_disk(str(image.path), parse_config("", cmdline), self.log, self.run)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_the_chosen_slot_is_mounted_read_only_and_said_in_the_kernel_log(
    machine: Machine, slot_image: Callable[..., SlotImage]
) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))
    decision = machine.boot(image)
    assert machine.run_argv == [["mount", "-t", "erofs", "-o", "ro", f"{image.path}4", str(machine.root)]]
    assert (decision.label, decision.partuuid) == ("USR-B", image.partuuid(4))
    said = machine.kmsg.read_text()
    assert "<5>bootselect: booting slot USR-B (partition 4, version 7), now 2/2/0\n" in said
    assert "<5>bootselect: reason: not proved yet, 2 tries left after this one\n" in said
    assert machine.console.read_text() == ""


@pytest.mark.parametrize("fault", ["mount", "etc/os-release", "sbin/init"])
def test_a_slot_that_fails_its_checks_is_passed_over_in_the_same_boot(
    machine: Machine, slot_image: Callable[..., SlotImage], fault: str
) -> None:
    machine.broken["4"] = fault
    image = slot_image((1, 0, 1), (2, 3, 0))
    assert machine.boot(image).label == "USR-A"
    assert image.attributes() == [(1, 0, 1), (2, 0, 0)]
    assert "slot USR-B is marked bad and the next one is taken" in machine.kmsg.read_text()
    assert ("umount" in [argv[0] for argv in machine.run_argv]) == (fault != "mount")


def test_with_every_slot_broken_nothing_is_bootable(machine: Machine, slot_image: Callable[..., SlotImage]) -> None:
    machine.broken = {"3": "mount", "4": "mount"}
    with pytest.raises(NothingBootableError):
        machine.boot(slot_image((1, 0, 1), (2, 3, 0)))


def test_a_slot_without_a_partition_node_is_not_mounted(machine: Machine, slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1))
    with pytest.raises(NothingBootableError):
        boot_disk(str(image.path), CONFIG, machine.log, machine.run)
    assert "the kernel does not see this partition" in machine.kmsg.read_text()


def test_a_quiet_kernel_does_not_silence_the_console(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "printk").write_text("4\t4\t1\t7\n")
    log = Log(str(machine.kmsg), str(machine.console), str(tmp_path / "printk"))
    log.say("something")
    assert machine.console.read_text() == "bootselect: something\n"


def test_a_damaged_table_is_reported(machine: Machine, slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))
    image.zero(1)
    machine.boot(image)
    assert "<4>bootselect: error: primary: no 'EFI PART' at the start of sector 1" in machine.kmsg.read_text()
    assert "No problems found" in image.verify()


@pytest.mark.parametrize(
    ("disk", "node"),
    [("/dev/sda", "/dev/sda3"), ("/dev/nvme0n1", "/dev/nvme0n1p3"), ("/dev/mmcblk0", "/dev/mmcblk0p3")],
)
def test_partition_nodes_have_the_names_that_the_kernel_gives(disk: str, node: str) -> None:
    assert partition_node(disk, 3) == node


def test_the_decision_is_json_whatever_the_label_is(tmp_path: Path) -> None:
    label = 'a"b\\c\n\u20ac\U0001f600\ud800'
    decision = Decision("/dev/vda", 3, "/dev/vda3", label, "uuid", "gptprio", 1, 0, 1, "because")
    path = tmp_path / "run" / "decision.json"
    leave_decision(decision, str(path))
    assert json.loads(path.read_text())["label"] == label


def test_what_grub_has_chosen_is_booted_without_accounting_again(
    machine: Machine, slot_image: Callable[..., SlotImage]
) -> None:
    image = slot_image((1, 0, 1), (2, 2, 0))
    decision = machine.boot(image, f"gpt usr=PARTUUID={image.partuuid(4).upper()} ro")
    assert (decision.label, image.attributes()) == ("USR-B", [(1, 0, 1), (2, 2, 0)])
    assert decision.reason.startswith("the boot loader chose it")


def test_what_grub_has_chosen_is_checked_all_the_same(machine: Machine, slot_image: Callable[..., SlotImage]) -> None:
    machine.broken["4"] = "mount"
    image = slot_image((1, 0, 1), (2, 2, 0))
    assert machine.boot(image, f"usr=PARTUUID={image.partuuid(4)}").label == "USR-A"
    assert image.attributes() == [(1, 0, 1), (2, 0, 0)]


def test_a_partition_that_only_names_the_disk_chooses_nothing(
    machine: Machine, slot_image: Callable[..., SlotImage]
) -> None:
    image = slot_image((1, 0, 1), (2, 2, 0))
    machine.boot(image, f"boot-disk=PARTUUID={image.partuuid(3)}")
    assert image.attributes() == [(1, 0, 1), (2, 1, 0)]
