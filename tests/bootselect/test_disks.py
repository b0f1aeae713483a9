"""Which disk is ours: by name, by the firmware's word, or because there is no other. Never by luck."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bootselect.errors import DiskChoiceError
from bootselect.initramfs.config import parse_config
from bootselect.initramfs.disks import Candidate, choose_disk, find_disk, kernel_events, loader_partuuid, scan
from bootselect.slots import slot_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support import SlotImage

ESP, OTHER = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"
PLAIN = parse_config("", "")


def disk(path: str, *uuids: str, removable: bool = False) -> Candidate:
    return Candidate(path, removable, frozenset(uuids))


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


def test_two_disks_without_a_word_of_the_firmware_are_refused() -> None:
    with pytest.raises(DiskChoiceError, match=r"/dev/sda, /dev/sdb all qualify .*boot-disk="):
        chosen([disk("/dev/sda", OTHER), disk("/dev/sdb", ESP)])


def test_a_clone_on_a_stick_is_left_alone() -> None:
    assert chosen([disk("/dev/sda", ESP), disk("/dev/sdb", ESP, removable=True)], loader=ESP) == "/dev/sda"


def test_two_fixed_clones_are_refused() -> None:
    with pytest.raises(DiskChoiceError, match="all qualify"):
        chosen([disk("/dev/sda", ESP), disk("/dev/sdb", ESP)], loader=ESP)


def test_a_slow_disk_is_waited_for() -> None:
    looks = iter([[], [], [disk("/dev/sda", ESP)]])

    def events(_: float) -> Iterator[None]:
        yield from (None, None)

    assert find_disk(PLAIN, ESP, look=lambda: next(looks), events=events).path == "/dev/sda"


def test_a_disk_that_never_comes_is_named_with_the_time_that_was_waited() -> None:
    with pytest.raises(DiskChoiceError, match="a disk with slots did not appear within 30 s"):
        find_disk(PLAIN, "", look=list, events=lambda _: iter(()))


def test_without_the_disk_of_the_boot_loader_the_only_one_is_taken_after_the_wait() -> None:
    choice = find_disk(PLAIN, ESP, look=lambda: [disk("/dev/sda", OTHER)], events=lambda _: iter(()))
    assert choice.path == "/dev/sda"
    assert f"the partition {ESP} of the boot loader is on none" in choice.reason


def test_waiting_for_events_ends() -> None:
    assert len(list(kernel_events(0.0))) == 1


def test_the_variable_of_the_boot_loader_interface_is_read(tmp_path: Path) -> None:
    variable = tmp_path / "LoaderDevicePartUUID"
    variable.write_bytes(b"\6\0\0\0" + (ESP.upper() + "\0").encode("utf-16-le"))
    assert loader_partuuid(str(variable)) == ESP
    assert loader_partuuid(str(tmp_path / "missing")) == ""


def test_the_scan_passes_over_disks_without_slots_and_devices_without_hardware(
    tmp_path: Path, slot_image: Callable[..., SlotImage]
) -> None:
    image = slot_image((1, 0, 1), name="sdb")
    slot_image(name="sda")
    (tmp_path / "sdc").write_bytes(b"no table at all")
    for name in ("sda", "sdb", "sdc", "sdd", "loop0"):
        (tmp_path / "sys" / name).mkdir(parents=True)
        (tmp_path / "sys" / name / ("device" if name != "loop0" else "loop")).mkdir()
    (tmp_path / "sys" / "sdb" / "removable").write_text("1\n")
    found = scan(slot_type("coreos-usr"), sys_block=str(tmp_path / "sys"), dev=str(tmp_path))
    assert found == [Candidate(str(image.path), removable=True, partuuids=frozenset({image.partuuid(3)}))]
