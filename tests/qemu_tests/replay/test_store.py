"""The variable store in each state of its writes. The reference is Debian's OVMF, whose template is as the firmware left it."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

import pytest

from qemu_tests.harness.disk.log import WriteLog
from qemu_tests.harness.disk.machine_disk import MachineDisk
from qemu_tests.harness.hardware.firmware import find_firmware
from qemu_tests.replay.crashes import Sample
from qemu_tests.replay.explore import explore
from qemu_tests.replay.places import places_of
from qemu_tests.replay.store import store_problem, store_states

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support import SlotImage

# Debian's OVMF_VARS_4M.fd: 72 bytes of volume header, then the store of 256 KiB; the spare is its second half.
HEADER, SPARE = 72, 0x42000


@pytest.fixture(scope="module")
def template() -> bytes:
    return find_firmware().variables.read_bytes()


class Both(NamedTuple):
    """An image, the disk that holds it, and the chip with the template of the variables; one log for the two."""

    image: Path
    disk: MachineDisk
    chip: MachineDisk


@pytest.fixture
def both(template: bytes, tmp_path: Path, slot_image: Callable[..., SlotImage]) -> Both:
    image = slot_image((2, 0, 1), (1, 0, 1)).path
    path = tmp_path / "variables.fd"
    path.write_bytes(template)
    log = WriteLog(tmp_path / "log")
    disk = MachineDisk(image, tmp_path, log=log)
    return Both(image, disk, MachineDisk(path, tmp_path, "variables", log=log, write_through=True))


def changed(store: bytes, at: int, data: bytes) -> bytes:
    return store[:at] + data + store[at + len(data) :]


def test_the_template_of_the_firmware_is_whole(template: bytes) -> None:
    assert len(template) == 540672
    assert store_problem(template) == ""


@pytest.mark.parametrize(
    ("at", "data", "problem"),
    [
        (40, b"_FV\0", "no firmware volume with variables"),
        (16, b"\0", "no firmware volume with variables"),
        (32, b"\1", "says that it has 540673 bytes"),
        (48, b"\1", "says that it has 1 bytes"),
        (50, b"\0\0", "the checksum of the firmware volume is 0x0000"),
        (44, b"\0", "which leaves"),
        (HEADER, b"\0", "the variable store is"),
        (HEADER + 20, b"\xff", "format 0xff"),
        (HEADER + 21, b"\xff", "state 0xff"),
        (HEADER + 16, b"\xff\xff\xff", "the variable store says that it has"),
        (0, bytes(4096), "no firmware volume with variables"),
    ],
)
def test_what_the_firmware_would_not_know_again_is_said(template: bytes, at: int, data: bytes, problem: str) -> None:
    assert problem in store_problem(changed(template, at, data))


def test_a_variable_is_no_matter_of_the_headers(template: bytes) -> None:
    assert store_problem(changed(template, HEADER + 28, bytes(4096))) == ""


def test_a_store_that_is_being_put_in_order_is_in_its_spare(template: bytes) -> None:
    volume = template[:0x40000]
    assert store_problem(changed(changed(template, SPARE, volume), 0, b"\xff" * 4096)) == ""


def test_each_write_has_a_state_before_it_torn_and_after_it(template: bytes, both: Both, tmp_path: Path) -> None:
    image, disk, chip = both
    session = chip.power_on()
    session.write(4096, b"a" * 512)
    session.write(8192, b"b" * 2048)
    # A firmware that would write its header in place, from zeros on.
    session.write(0, bytes(512))
    disk.power_on().write(512, bytes(512))
    session.write(0, template[:512])
    states = store_states(chip.recording())
    shown = [
        [(state.kind, [p.length for p in state.pieces], bool(state.problem)) for state in s] for s in states.values()
    ]
    assert shown == [
        [("before", [], False), ("torn", [256], False), ("after", [512], False)],
        [*[("torn", [length], False) for length in (256, 512, 1024, 1536)], ("after", [2048], False)],
        [("torn", [256], True), ("after", [512], True)],
        [("torn", [256], False), ("after", [512], False)],
    ]
    found = explore(disk.recording(), places_of(image), tmp_path, Sample(), store=chip.recording())
    assert {kind: count for kind, count in found.states.items() if kind.startswith("store")} == {
        "store before": 1,
        "store torn": 7,
        "store after": 4,
    }
    assert [failure.kind for failure in found.failures] == ["store torn", "store after"]


def test_a_disk_that_is_lost_while_the_variables_are_written_is_found(both: Both, tmp_path: Path) -> None:
    image, disk, chip = both
    session = disk.power_on()
    variables = chip.power_on()
    session.write(512, bytes(512))
    session.write(disk.size - 512, bytes(512))
    variables.write(4096, b"before" + bytes(506))
    session.flush()
    variables.write(4096, b"behind" + bytes(506))
    found = explore(disk.recording(), places_of(image), tmp_path, Sample(), store=chip.recording())
    of_store = {failure.writes for failure in found.failures if failure.kind.startswith("store")}
    behind = list(store_states(chip.recording()))[1]
    assert of_store == {(behind.number,)}
    assert struct.unpack("6s506x", chip.log.data(behind)) == (b"behind",)
