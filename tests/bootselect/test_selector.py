"""The boot path up to the mounted slot, with image files for disks and a mount that only pretends."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bootselect import watchdog
from bootselect.errors import DiskChoiceError, NothingBootableError
from bootselect.formats.decision import Decision
from bootselect.initramfs import kexec, mount, selector
from bootselect.initramfs.config import parse_config
from bootselect.initramfs.disks import DiskChoice, choose_at_once
from bootselect.initramfs.log import Log
from bootselect.initramfs.selector import boot_disk, leave_decision
from gptlib.linux.nodes import partition_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootselect.initramfs.selector import HandOver
    from tests.support import SlotImage

CONFIG = parse_config("", "")
EROFS = bytes(1024) + bytes.fromhex("e2e1f5e0") + bytes(3068)


class Machine:
    """An initramfs with a console, a kernel log, and slots whose contents the test decides."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kmsg, self.console, self.root = folder / "kmsg", folder / "console", folder / "slot"
        for file in (self.kmsg, self.console):
            file.touch()
        (folder / "printk").write_text("7\t4\t1\t7\n")
        self.log = Log(str(self.kmsg), str(self.console), str(folder / "printk"))
        self.broken: dict[str, str | Exception] = {}
        self.run_argv: list[list[str]] = []
        self.mounted: list[str] = []
        (folder / "filesystems").write_text("nodev\tproc\n\text4\n\terofs\n")
        monkeypatch.setattr(mount, "FILESYSTEMS", str(folder / "filesystems"))
        monkeypatch.setattr(selector, "scan", lambda *_, **__: [])  # the disks of the host are none of ours
        monkeypatch.setattr(mount, "SLOT_ROOT", str(self.root))
        monkeypatch.setattr(mount.mount_slot, "__defaults__", (str(self.root),))

    def run(self, argv: list[str]) -> tuple[int, str]:
        self.run_argv.append(argv)
        if argv[0] == "umount":
            self.mounted.pop()
            return 0, ""
        how = self.broken.get(argv[-2][-1], "")
        if isinstance(how, Exception):
            raise how
        if how == "mount":
            return 32, "mounting failed: Invalid argument"
        if how == "no program":
            return 127, "there is no mount in this initramfs"
        self.mounted.append(argv[-2])
        for name, text in {"etc/os-release": 'VERSION="7"\n', "sbin/init": ""}.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if how != name:
                path.write_text(text)
        return 0, ""

    def fill(self, image: SlotImage, number: int) -> None:
        """Let the kernel see the partition, with erofs on it."""
        node = Path(partition_name(str(image.path), number))
        if not node.exists():
            node.write_bytes(EROFS)

    def boot(
        self, image: SlotImage, cmdline: str = "", hand_over: HandOver = lambda _: None, conf: str = ""
    ) -> Decision:
        for number in range(3, 3 + len(image.attributes())):
            self.fill(image, number)
        return boot_disk(str(image.path), parse_config(conf, cmdline), self.log, self.run, hand_over)


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
    assert partition_name(disk, 3) == node


def test_the_decision_is_json_whatever_the_label_is(tmp_path: Path) -> None:
    label = 'a"b\\c\n\u20ac\U0001f600\ud800'
    decision = Decision("/dev/vda", 3, "/dev/vda3", label, "uuid", "gptprio", 1, 0, 1, "because")
    leave_decision(decision, str(tmp_path / "run"))
    assert json.loads((tmp_path / "run" / "decision.json").read_text())["label"] == label


FOREIGN = [
    RuntimeError("surprise"),
    ImportError("No module named 'array'"),
    MemoryError(),
    RecursionError("maximum recursion depth exceeded"),
    OSError(24, "Too many open files"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
]


@pytest.mark.parametrize("fault", FOREIGN, ids=lambda fault: type(fault).__name__)
def test_an_exception_that_is_not_ours_makes_one_slot_unusable_and_the_next_is_taken(
    machine: Machine, slot_image: Callable[..., SlotImage], fault: Exception
) -> None:
    machine.broken["4"] = fault
    image = slot_image((1, 0, 1), (2, 3, 0))
    assert machine.boot(image).label == "USR-A"
    assert image.attributes() == [(1, 0, 1), (2, 0, 0)]
    said = machine.kmsg.read_text()
    assert f"<3>bootselect: slot USR-B is marked bad and the next one is taken: {type(fault).__name__}: " in said
    assert "(test_selector.py:" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("fault", FOREIGN, ids=lambda fault: type(fault).__name__)
def test_a_slot_that_cannot_be_handed_over_to_is_unmounted_and_the_next_is_taken(
    machine: Machine, slot_image: Callable[..., SlotImage], fault: Exception
) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))

    def hand_over(decision: Decision) -> None:
        assert machine.mounted == [decision.device]
        if decision.label == "USR-B":
            raise fault

    assert machine.boot(image, hand_over=hand_over).label == "USR-A"
    assert machine.mounted == [f"{image.path}3"]
    assert image.attributes() == [(1, 0, 1), (2, 0, 0)]


@pytest.mark.parametrize("fault", [*FOREIGN, "no program"], ids=lambda fault: fault if isinstance(fault, str) else None)
def test_a_fault_that_meets_every_slot_does_not_take_what_they_have_proved(
    machine: Machine, slot_image: Callable[..., SlotImage], fault: Exception | str
) -> None:
    machine.broken = {"3": fault, "4": fault}
    image = slot_image((1, 0, 1), (2, 0, 1))
    with pytest.raises(NothingBootableError):
        machine.boot(image)
    assert image.attributes() == [(1, 0, 1), (2, 0, 1)]
    assert machine.kmsg.read_text().count("is passed over in this boot and the next one is taken: ") == 2


def test_a_file_system_without_a_driver_is_not_the_fault_of_the_slots(
    machine: Machine, slot_image: Callable[..., SlotImage]
) -> None:
    machine.broken = {"3": "mount", "4": "mount"}
    image = slot_image((1, 0, 1), (2, 0, 1))
    with pytest.raises(NothingBootableError):
        machine.boot(image, conf="fstype=squashfs")
    assert image.attributes() == [(1, 0, 1), (2, 0, 1)]
    assert "cannot be mounted: this kernel has no squashfs; its driver is not loaded" in machine.kmsg.read_text()
    with pytest.raises(NothingBootableError):
        machine.boot(image)
    assert image.attributes() == [(1, 0, 0), (2, 0, 0)]


SUPERBLOCKS = {
    "erofs": EROFS,
    "squashfs": b"hsqs" + bytes(4092),
    "ext4": bytes(1080) + b"\x53\xef" + bytes(3014),
}


@pytest.mark.parametrize("kind", SUPERBLOCKS)
@pytest.mark.parametrize("conf", ["", "fstype=auto"])
def test_each_slot_is_mounted_as_what_is_in_it(
    machine: Machine, slot_image: Callable[..., SlotImage], kind: str, conf: str
) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))
    Path(f"{image.path}4").write_bytes(SUPERBLOCKS[kind])
    assert machine.boot(image, conf=conf).label == "USR-B"
    assert machine.run_argv == [["mount", "-t", kind, "-o", "ro", f"{image.path}4", str(machine.root)]]


def test_a_file_system_that_is_named_is_believed(machine: Machine, slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1))
    Path(f"{image.path}3").write_bytes(SUPERBLOCKS["squashfs"])
    machine.boot(image, conf="fstype=btrfs")
    assert machine.run_argv[0][:3] == ["mount", "-t", "btrfs"]


@pytest.mark.parametrize("content", [bytes(4096), b"", b"\xff" * 8192], ids=["zero", "empty", "noise"])
def test_a_slot_without_a_file_system_is_passed_over_and_it_is_said_what_was_expected(
    machine: Machine, slot_image: Callable[..., SlotImage], content: bytes
) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))
    Path(f"{image.path}4").write_bytes(content)
    assert machine.boot(image).label == "USR-A"
    assert image.attributes() == [(1, 0, 1), (2, 0, 0)]
    expected = (
        f"{image.path}4 begins with no file system that is known; expected erofs, squashfs, ext4, or the setting fstype"
    )
    assert f"slot USR-B is marked bad and the next one is taken: {expected}" in machine.kmsg.read_text()


def test_a_file_system_that_is_recognised_but_has_no_driver_is_not_the_fault_of_the_slots(
    machine: Machine, slot_image: Callable[..., SlotImage]
) -> None:
    machine.broken = {"3": "mount", "4": "mount"}
    image = slot_image((1, 0, 1), (2, 0, 1))
    for number in (3, 4):
        Path(f"{image.path}{number}").write_bytes(SUPERBLOCKS["squashfs"])
    with pytest.raises(NothingBootableError):
        machine.boot(image)
    assert image.attributes() == [(1, 0, 1), (2, 0, 1)]
    assert "cannot be mounted: this kernel has no squashfs; its driver is not loaded" in machine.kmsg.read_text()


def test_a_slot_that_cannot_be_read_is_passed_over(machine: Machine, slot_image: Callable[..., SlotImage]) -> None:
    image = slot_image((1, 0, 1), (2, 3, 0))
    Path(f"{image.path}4").mkdir()
    assert machine.boot(image).label == "USR-A"
    assert f"{image.path}4 cannot be read: Is a directory" in machine.kmsg.read_text()


def test_a_journal_that_stands_in_the_way_is_said(machine: Machine, slot_image: Callable[..., SlotImage]) -> None:
    machine.broken["4"] = "mount"
    image = slot_image((1, 0, 1), (2, 3, 0))
    unfinished = bytearray(SUPERBLOCKS["ext4"])
    unfinished[1048], unfinished[1120] = 2, 4
    Path(f"{image.path}4").write_bytes(unfinished)
    assert machine.boot(image).label == "USR-A"
    said = machine.kmsg.read_text()
    assert "cannot be mounted as ext4: mounting failed: Invalid argument; its journal has to be replayed" in said


def test_blocks_that_are_too_small_for_a_sealed_slot_are_said(
    machine: Machine, slot_image: Callable[..., SlotImage]
) -> None:
    machine.broken["4"] = "mount"
    image = slot_image((1, 0, 1), (2, 3, 0))
    Path(f"{image.path}4").write_bytes(SUPERBLOCKS["ext4"])
    assert machine.boot(image).label == "USR-A"
    said = machine.kmsg.read_text()
    assert "Invalid argument; its blocks have 1024 bytes, and a sealed slot needs 4096: mkfs.ext4 -b 4096" in said


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ('VERSION_ID="12"\nVERSION="12 (bookworm)"\nIMAGE_VERSION=7\n', "7"),
        ('VERSION_ID="12"\nVERSION="12 (bookworm)"\n', "12 (bookworm)"),
        ("VERSION_ID='12'\n", "12"),
        ('IMAGE_VERSION=""\nVERSION_ID=12\n', "12"),
        ("IMAGE_ID=acme\n", "unknown"),
    ],
)
def test_the_version_is_that_of_the_image_before_that_of_the_system_in_it(
    tmp_path: Path, release: str, version: str
) -> None:
    for name, text in {"etc/os-release": release, "sbin/init": ""}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    assert mount.check_system(str(tmp_path)).version == version


@pytest.mark.parametrize(("module", "conf"), [("verity", "verity=auto"), ("kexec", "hand-over=kexec")])
def test_a_module_that_is_missing_in_the_initramfs_is_one_line_for_each_slot(
    machine: Machine,
    slot_image: Callable[..., SlotImage],
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    conf: str,
) -> None:
    # As "from bootselect.initramfs import verity" fails where the file is not there.
    monkeypatch.delattr(f"bootselect.initramfs.{module}", raising=False)
    monkeypatch.setitem(sys.modules, f"bootselect.initramfs.{module}", None)
    image = slot_image((1, 0, 1), (2, 3, 0))
    with pytest.raises(NothingBootableError):
        machine.boot(image, conf=conf)
    assert image.attributes() == [(1, 0, 1), (2, 0, 0)]
    said = machine.kmsg.read_text()
    assert said.count("is taken: ImportError: ") + said.count("is taken: ModuleNotFoundError: ") == 2
    assert machine.mounted == []


@pytest.mark.parametrize("name", ["etc/os-release", "usr/lib/os-release"])
def test_an_os_release_that_is_a_pipe_or_huge_does_not_hang_the_boot(
    machine: Machine, slot_image: Callable[..., SlotImage], name: str
) -> None:
    machine.broken["4"] = "etc/os-release"
    (machine.root / name).parent.mkdir(parents=True)
    image = slot_image((1, 0, 1), (2, 3, 0))

    def run(argv: list[str]) -> tuple[int, str]:
        done = Machine.run(machine, argv)
        if argv[0] == "mount" and argv[-2].endswith("4"):
            os.mkfifo(machine.root / "etc/os-release")
            with (machine.root / "usr/lib/os-release").open("wb") as file:
                file.truncate(1 << 40)
        return done

    (machine.root / "usr/lib").mkdir(parents=True, exist_ok=True)
    machine.run = run  # type: ignore[method-assign]
    assert machine.boot(image).label == "USR-A"
    assert "it has no os-release" in machine.kmsg.read_text()


def booted_by_main(machine: Machine, monkeypatch: pytest.MonkeyPatch, choice: Callable[..., object]) -> int:
    monkeypatch.setattr(selector, "Log", lambda: machine.log)
    monkeypatch.setattr(selector, "choose_at_once", choice)
    return selector.run()


@pytest.mark.parametrize("fault", [*FOREIGN, KeyboardInterrupt(), DiskChoiceError("two disks")], ids=repr)
def test_at_the_top_everything_is_one_line_and_an_exit_code(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], fault: BaseException
) -> None:
    def find(*_: object, **__: object) -> None:
        raise fault

    assert booted_by_main(machine, monkeypatch, find) == 1
    [line] = machine.kmsg.read_text().splitlines()
    assert line.startswith("<3>bootselect: ")
    assert capfd.readouterr() == ("", "")


def test_a_log_that_fails_too_is_said_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise MemoryError

    monkeypatch.setattr(selector, "Log", fail)
    assert selector.run() == 1
    assert capfd.readouterr().err == "bootselect: the selector failed, and so did its log\n"


def test_without_a_disk_it_is_said_why_each_that_is_there_is_not_used(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scan(_: object, passed_over: dict[str, str], **__: object) -> list[object]:
        passed_over["/dev/sda"] = "it is a member of an md array"
        return []

    monkeypatch.setattr(selector, "load_config", lambda: parse_config("wait=0", ""))
    monkeypatch.setattr(selector, "scan", scan)
    monkeypatch.setattr(selector, "loader_partuuid", str)
    assert booted_by_main(machine, monkeypatch, choose_at_once) == 1
    assert machine.kmsg.read_text().splitlines() == [
        "<4>bootselect: /dev/sda is not used: it is a member of an md array",
        "<3>bootselect: a disk with slots did not appear within 0 s",
    ]


def test_the_console_has_taken_the_last_line_before_another_kernel_is_started(
    machine: Machine, slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = slot_image((1, 0, 1))
    machine.fill(image, 3)
    happened: list[str] = []

    def drain() -> None:
        happened.extend([machine.kmsg.read_text().splitlines()[-1], "drained"])

    monkeypatch.setattr(machine.log, "drain", drain)
    monkeypatch.setattr(kexec, "load", lambda *_: happened.append("loaded"))
    monkeypatch.setattr(kexec, "start", lambda: happened.append("started"))
    monkeypatch.setattr(selector, "load_config", lambda: parse_config("hand-over=kexec", ""))
    monkeypatch.setattr(selector, "leave_decision", lambda _: None)
    monkeypatch.setattr(selector, "run_program", machine.run)
    monkeypatch.setattr(selector, "Log", lambda: machine.log)
    monkeypatch.setattr(
        selector, "choose_at_once", lambda *_, **__: DiskChoice(str(image.path), "it is there", settled=True)
    )
    assert selector.run() == 0
    assert happened == ["loaded", "<5>bootselect: starting the kernel of slot USR-A", "drained", "started"]


@pytest.mark.parametrize("broken", ["leave_decision", "arm_watchdog"])
def test_a_decision_or_watchdog_that_fails_does_not_stop_the_boot(
    machine: Machine, slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    image = slot_image((1, 0, 1))
    machine.fill(image, 3)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(selector, "load_config", lambda: parse_config("watchdog=60", ""))
    monkeypatch.setattr(watchdog, "arm_watchdog", lambda _: "a watchdog")
    monkeypatch.setattr(selector, "leave_decision", lambda _: None)
    monkeypatch.setattr(watchdog if broken == "arm_watchdog" else selector, broken, fail)
    monkeypatch.setattr(selector, "run_program", machine.run)
    monkeypatch.setattr(selector, "Log", lambda: machine.log)
    monkeypatch.setattr(
        selector, "choose_at_once", lambda *_, **__: DiskChoice(str(image.path), "it is there", settled=True)
    )
    assert selector.run() == 0
    assert machine.mounted == [f"{image.path}3"]
    assert "No space left on device" in machine.kmsg.read_text()


@pytest.mark.parametrize(
    "spelling", ["usr=PARTUUID={}", "verity.usr=PARTUUID={}", "mount.usr=/dev/disk/by-partuuid/{}", "root=PARTUUID={}"]
)
@pytest.mark.parametrize("change", [str.upper, str.lower])
def test_what_grub_has_chosen_is_booted_without_accounting_again(
    machine: Machine, slot_image: Callable[..., SlotImage], spelling: str, change: Callable[[str], str]
) -> None:
    image = slot_image((1, 0, 1), (2, 2, 0))
    cmdline = f"gpt root=PARTUUID={'0' * 8} {spelling.format(change(image.partuuid(4)))} ro usr=PARTUUID=1"
    decision = machine.boot(image, cmdline)
    assert (decision.label, image.attributes()) == ("USR-B", [(1, 0, 1), (2, 2, 0)])
    assert decision.reason.startswith("the boot loader chose it")


@pytest.mark.parametrize("conf", ["", "policy=cgpt-next", "policy=chromeos"])
def test_a_named_slot_without_tries_has_just_had_its_last_one(
    machine: Machine, slot_image: Callable[..., SlotImage], conf: str
) -> None:
    image = slot_image((1, 0, 1), (2, 0, 0))
    assert machine.boot(image, f"usr=PARTUUID={image.partuuid(4)}", conf=conf).label == "USR-B"
    assert image.attributes() == [(1, 0, 1), (2, 0, 0)]


@pytest.mark.parametrize(
    ("conf", "named", "taken"),
    [
        ("", (0, 0, 0), False),
        ("", (0, 3, 0), False),
        ("", (0, 0, 1), False),
        ("policy=chromeos", (0, 0, 0), False),
        ("policy=cgpt-next", (0, 0, 0), False),
        ("policy=cgpt-next", (0, 3, 0), True),
        ("policy=cgpt-next", (0, 0, 1), True),
        ("", (1, 0, 0), True),
    ],
)
def test_a_named_slot_that_no_boot_loader_chooses_is_refused(
    machine: Machine, slot_image: Callable[..., SlotImage], conf: str, named: tuple[int, int, int], *, taken: bool
) -> None:
    image = slot_image((2, 0, 1), named)
    decision = machine.boot(image, f"root=PARTUUID={image.partuuid(4)}", conf=conf)
    assert (decision.label == "USR-B") == taken
    assert image.attributes() == [(2, 0, 1), named]
    state = "/".join(map(str, named))
    refused = (
        f"<4>bootselect: USR-B {state} (partition 4) is named on the command line, but with priority 0 no boot loader"
    )
    assert (refused in machine.kmsg.read_text()) != taken


def test_a_named_slot_that_is_refused_does_not_hide_another_one(
    machine: Machine, slot_image: Callable[..., SlotImage]
) -> None:
    image = slot_image((1, 0, 1), (2, 2, 0), (0, 0, 0))
    cmdline = f"usr=PARTUUID={image.partuuid(5)} root=PARTUUID={image.partuuid(4)}"
    assert machine.boot(image, cmdline).label == "USR-B"
    assert image.attributes()[1] == (2, 2, 0)


def test_what_the_selector_before_this_one_has_chosen_is_taken_whatever_it_is(
    machine: Machine, slot_image: Callable[..., SlotImage]
) -> None:
    # Under chromeos the last try leaves 0/0/0.
    image = slot_image((2, 0, 1), (0, 0, 0))
    cmdline = f"root=PARTUUID={image.partuuid(4)} bootselect.chosen={image.partuuid(4)}"
    decision = machine.boot(image, cmdline, conf="policy=chromeos")
    assert decision.label == "USR-B"
    assert decision.reason.startswith("the selector before this one chose it")


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
