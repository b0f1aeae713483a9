"""Which disk is ours: by name, by the firmware's word, or because there is no other. Never by luck."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bootselect.errors import DiskChoiceError
from bootselect.initramfs.config import parse_config
from bootselect.initramfs.disks import Candidate, choose_disk, disk_of, loader_partuuid, scan
from bootselect.slots import slot_type
from gptlib import Disk
from tests.gptlib.read.test_md import SUPERBLOCKS
from tests.support import run_tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import SlotImage

ESP, OTHER = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
SLOT, STATE = "aaaaaaaa-0000-0000-0000-000000000003", "aaaaaaaa-0000-0000-0000-000000000004"
USR = slot_type("coreos-usr")


def disk(path: str, *uuids: str, removable: bool = False, slot: str = "", label: str = "") -> Candidate:
    slots = frozenset(filter(None, [slot]))
    return Candidate(path, removable, slots, frozenset(uuids) | slots, frozenset(filter(None, [label])))


def chosen(candidates: list[Candidate], cmdline: str = "", loader: str = "") -> str:
    choice = choose_disk(candidates, parse_config("", cmdline), loader)
    return choice.path if choice else ""


def test_the_only_disk_with_slots_is_taken() -> None:
    assert chosen([disk("/dev/vda", ESP)]) == "/dev/vda"


def test_the_disk_of_the_boot_loader_wins_over_its_neighbour() -> None:
    assert chosen([disk("/dev/sda", OTHER), disk("/dev/sdb", ESP)], loader=ESP) == "/dev/sdb"


def test_the_command_line_wins_over_the_boot_loader() -> None:
    both = [disk("/dev/sda", OTHER), disk("/dev/sdb", ESP)]
    assert chosen(both, f"usr=PARTUUID={OTHER.upper()}", loader=ESP) == "/dev/sda"
    assert chosen(both, "boot-disk=/dev/sda", loader=ESP) == "/dev/sda"


@pytest.mark.parametrize(
    "cmdline",
    [
        f"root=PARTUUID={STATE} usr=PARTUUID={SLOT}",
        f"usr=PARTUUID={SLOT} root=PARTUUID={STATE}",
        f"verity.usr=PARTUUID={STATE} root=PARTUUID={SLOT}",
        f"mount.usr=/dev/disk/by-partuuid/{STATE} verity.usr=PARTUUID={SLOT.upper()}",
    ],
)
def test_of_several_partitions_on_the_command_line_the_slot_says_which_disk(cmdline: str) -> None:
    both = [disk("/dev/sda", STATE, slot=OTHER), disk("/dev/sdb", slot=SLOT)]
    assert chosen(both, cmdline) == "/dev/sdb"


def test_a_disk_with_another_partition_that_is_named_waits_for_the_slot_that_is_named_too() -> None:
    config = parse_config("", f"root=PARTUUID={STATE} usr=PARTUUID={SLOT}")
    alone = choose_disk([disk("/dev/sda", STATE, slot=OTHER)], config, "")
    assert alone is not None
    assert not alone.settled
    whole = choose_disk([disk("/dev/sda", STATE, SLOT, slot=OTHER)], config, "")
    assert whole is not None
    assert whole.settled


def test_two_disks_without_a_word_of_the_firmware_are_refused() -> None:
    with pytest.raises(DiskChoiceError, match=r"/dev/sda, /dev/sdb all qualify .*boot-disk="):
        chosen([disk("/dev/sda", OTHER), disk("/dev/sdb", ESP)])


def test_a_clone_on_a_stick_is_left_alone() -> None:
    assert chosen([disk("/dev/sda", ESP), disk("/dev/sdb", ESP, removable=True)], loader=ESP) == "/dev/sda"


def test_two_fixed_clones_are_refused() -> None:
    with pytest.raises(DiskChoiceError, match="all qualify"):
        chosen([disk("/dev/sda", ESP), disk("/dev/sdb", ESP)], loader=ESP)


@pytest.mark.parametrize(
    "name",
    [
        f"PARTUUID={ESP.upper()}",
        f"partuuid={ESP}",
        f"/dev/disk/by-partuuid/{ESP}",
        "PARTLABEL=boot",
        "/dev/disk/by-partlabel/boot",
    ],
)
def test_boot_disk_takes_a_partition_by_its_identity(name: str) -> None:
    both = [disk("/dev/sda", OTHER, label="data"), disk("/dev/sdb", ESP, label="boot")]
    assert chosen(both, f"boot-disk={name}", loader=OTHER) == "/dev/sdb"
    assert chosen(both[:1], f"boot-disk={name}", loader=OTHER) == ""
    with pytest.raises(DiskChoiceError, match="all qualify"):
        chosen([*both, both[1]._replace(path="/dev/sdc")], f"boot-disk={name}")


def test_a_disk_that_is_named_by_its_node_is_settled_though_it_is_removable() -> None:
    stick = disk("/dev/sdb", ESP, removable=True)
    for cmdline, settled in (("boot-disk=/dev/sdb", True), (f"boot-disk=PARTUUID={ESP}", False), ("", False)):
        choice = choose_disk([stick], parse_config("", cmdline), ESP)
        assert choice is not None
        assert choice.settled == settled
    choice = choose_disk([disk("/dev/sda", ESP)], parse_config("", ""), ESP)
    assert choice is not None
    assert choice.settled


def test_a_link_to_the_disk_or_to_a_partition_of_it_is_followed(tmp_path: Path, loop_disk: Path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to(loop_disk)
    partition = tmp_path / "by-id-part3"
    partition.symlink_to(f"{loop_disk}p3")
    assert disk_of(str(link)) == disk_of(str(partition)) == str(loop_disk)
    assert disk_of(str(tmp_path / "missing")) == str(tmp_path / "missing")
    both = [disk("/dev/sda", ESP), disk(str(loop_disk), ESP)]
    choice = choose_disk(both, parse_config("", f"boot-disk={partition}"), ESP, disk_of=disk_of)
    assert choice is not None
    assert choice.path == str(loop_disk)


@pytest.fixture
def loop_disk(slot_image: Callable[..., SlotImage], request: pytest.FixtureRequest) -> Path:
    if os.geteuid():
        pytest.skip("needs root for a loop device")
    image = slot_image((1, 0, 1), name="loop.img")
    node = run_tool("losetup", "-f", "--show", image.path).strip()
    request.addfinalizer(lambda: subprocess.run(["losetup", "-d", node], check=True))
    run_tool("partx", "-a", node)
    request.addfinalizer(lambda: subprocess.run(["partx", "-d", node], check=True))
    return Path(node)


def test_the_variable_of_the_boot_loader_interface_is_read(tmp_path: Path) -> None:
    variable = tmp_path / "LoaderDevicePartUUID"
    variable.write_bytes(b"\6\0\0\0" + (ESP.upper() + "\0").encode("utf-16-le"))
    assert loader_partuuid(str(variable)) == ESP
    assert loader_partuuid(str(tmp_path / "missing")) == ""


class Machine:
    """A made-up /sys/block and /dev."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.passed_over = folder, dict[str, str]()

    def attach(self, *names: str, kind: str = "device", removable: bool = False) -> None:
        for name in names:
            entry = self.folder / "sys" / name
            (entry / kind).mkdir(parents=True)
            (entry / "removable").write_text(f"{int(removable)}\n")

    def scan(self, *, filesystems: bool = False) -> list[Candidate]:
        return scan(
            USR,
            self.passed_over,
            filesystems=filesystems,
            sys_block=str(self.folder / "sys"),
            dev=str(self.folder),
        )

    def found(self) -> list[str]:
        return [candidate.path.rpartition("/")[2] for candidate in self.scan()]

    def why(self, name: str) -> str:
        return self.passed_over[str(self.folder / name)]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_scan_passes_over_disks_without_slots_and_devices_without_hardware(
    machine: Machine, slot_image: Callable[..., SlotImage]
) -> None:
    image = slot_image((1, 0, 1), name="sdb")
    slot_image(name="sda")
    (machine.folder / "sdc").write_bytes(b"no table at all")
    machine.attach("sda", "sdc", "sdd")
    machine.attach("sdb", removable=True)
    machine.attach("loop0", kind="loop")
    uuids = frozenset({image.partuuid(3)})
    expected = Candidate(str(image.path), removable=True, slots=uuids, partuuids=uuids, labels=frozenset({"USR-A"}))
    assert machine.scan() == [expected]
    assert machine.why("sda") == "it has no partition of the slot type"
    assert "give a disk or a whole disk image" in machine.why("sdc")
    assert "No such file" in machine.why("sdd")


@pytest.mark.parametrize("error", [OSError(25, "Inappropriate ioctl"), MemoryError(), RecursionError("too deep")])
def test_one_odd_disk_does_not_hide_the_others(
    machine: Machine, slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    for name in ("sda", "sdb"):
        slot_image((1, 0, 1), name=name)
    machine.attach("sda", "sdb")
    really = Disk.open

    def open_or_fail(path: str) -> object:
        if path.endswith("sda"):
            raise error
        return really(path)

    monkeypatch.setattr(Disk, "open", open_or_fail)
    assert machine.found() == ["sdb"]
    assert machine.why("sda").startswith(type(error).__name__)


@pytest.mark.parametrize("version", SUPERBLOCKS)
def test_a_member_of_an_array_is_no_disk_and_the_whole_array_is(
    machine: Machine, slot_image: Callable[..., SlotImage], version: str
) -> None:
    # The table begins on the member where the array does: at its start for 0.90 and 1.0. With the others it is an old table that
    # the array was made over; the copy at the end is still whole.
    for name in ("sda", "md127"):
        slot_image((1, 0, 1), name=name)
    member = machine.folder / "sda"
    with member.open("r+b") as file:
        if version.startswith(("0.90", "1.0")):
            file.truncate(member.stat().st_size + (1 << 20))
        at, block = SUPERBLOCKS[version](member.stat().st_size)
        file.seek(at)
        file.write(block)
    machine.attach("sda")
    machine.attach("md127", kind="md")
    assert machine.found() == ["md127"]
    assert "it is a member of an md array" in machine.why("sda")


def test_on_a_whole_disk_one_place_is_read_to_know_that_it_is_no_member(
    machine: Machine, slot_image: Callable[..., SlotImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = slot_image((1, 0, 1), name="sda").path.stat().st_size
    machine.attach("sda")
    reads = []
    really = os.pread

    def pread(fd: int, length: int, offset: int) -> bytes:
        reads.append((offset, length))
        return really(fd, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    assert machine.found() == ["sda"]
    assert reads == [(0, 24576), (size - 20480, 20480), (size - 65536, 256)]


@pytest.mark.parametrize(
    "make",
    [
        ["mkfs.ext4", "-q", "-O", "^has_journal"],
        ["mkfs.ext2", "-q"],
        ["mkfs.fat", "-F", "32", "-s", "1"],
        ["mkfs.fat", "-F", "12"],
    ],
)
def test_boot_disk_takes_the_uuid_of_a_file_system_that_blkid_tells(
    machine: Machine, slot_image: Callable[..., SlotImage], make: list[str]
) -> None:
    images = [slot_image((1, 0, 1), (1, 0, 1), name=name) for name in ("sda", "sdb")]
    machine.attach("sda", "sdb")
    filesystem = machine.folder / "filesystem"
    filesystem.write_bytes(bytes(1 << 20))
    run_tool(*make, filesystem)
    uuid = run_tool("blkid", "-p", "-s", "UUID", "-o", "value", filesystem).strip()
    with images[1].path.open("r+b") as file:
        file.seek(2 * 2048 * 512)
        file.write(filesystem.read_bytes())
    for name in (f"UUID={uuid}", f"/dev/disk/by-uuid/{uuid.lower()}"):
        choice = choose_disk(machine.scan(filesystems=True), parse_config("", f"boot-disk={name}"), "")
        assert choice is not None
        assert choice.path == str(images[1].path)


def test_the_uuid_of_an_erofs_is_known_too(
    machine: Machine, slot_image: Callable[..., SlotImage], tmp_path: Path
) -> None:
    image = slot_image((1, 0, 1), name="sda")
    machine.attach("sda")
    (tmp_path / "tree").mkdir()
    filesystem = tmp_path / "filesystem"
    run_tool("mkfs.erofs", filesystem, tmp_path / "tree")
    uuid = run_tool("blkid", "-p", "-s", "UUID", "-o", "value", filesystem).strip()
    with image.path.open("r+b") as file:
        file.seek(2048 * 512)
        file.write(filesystem.read_bytes())
    assert machine.scan(filesystems=True)[0].filesystems == {uuid}
    assert machine.scan()[0].filesystems == set()
