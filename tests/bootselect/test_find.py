"""Waiting for the disk: for one that is slow, for one that nobody announces, and for the fixed one behind its clone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bootselect.errors import DiskChoiceError
from bootselect.initramfs.config import parse_config
from bootselect.initramfs.disks import Candidate, DiskChoice, choose_at_once
from bootselect.initramfs.find import find_disk

if TYPE_CHECKING:
    from collections.abc import Mapping

ESP, OTHER = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"


def disk(path: str, uuid: str = ESP, *, removable: bool = False) -> Candidate:
    return Candidate(path, removable, frozenset(), frozenset({uuid}))


FIXED, STICK, SECOND_STICK = disk("/dev/sda"), disk("/dev/sdb", removable=True), disk("/dev/sdc", removable=True)


class Machine:
    """A clock, disks that appear at their times, and announcements at theirs."""

    def __init__(self, appear: Mapping[float, Candidate], announced: list[float] | None = None) -> None:
        self.now, self.appear = 100.0, {100 + when: disk for when, disk in appear.items()}
        self.announced = sorted(100 + when for when in (appear if announced is None else announced) if when > 0)
        self.looks, self.said, self.listening = 0, list[str](), 0

    def clock(self) -> float:
        return self.now

    def look(self) -> list[Candidate]:
        self.looks += 1
        self.now += 0.01
        return sorted(disk for when, disk in self.appear.items() if when <= self.now)

    def listen(self) -> Machine:
        self.listening += 1
        return self

    def wait(self, seconds: float) -> bool:
        assert 0 <= seconds <= 1
        end = self.now + seconds
        if self.announced and self.announced[0] <= end:
            self.now = max(self.now, self.announced.pop(0))
            return True
        self.now = end
        return False

    def close(self) -> None:
        self.listening -= 1

    def find(self, cmdline: str = "", loader: str = ESP, conf: str = "") -> DiskChoice:
        try:
            return find_disk(
                parse_config(conf, cmdline),
                loader,
                look=self.look,
                listen=self.listen,
                clock=self.clock,
                say=self.said.append,
                disk_of=lambda path: path,
            )
        finally:
            assert self.listening == 0

    @property
    def waited(self) -> float:
        return self.now - 100


@pytest.mark.parametrize("cmdline", ["", f"usr=PARTUUID={ESP}", "boot-disk=/dev/sda", f"boot-disk=PARTUUID={ESP}"])
def test_a_fixed_disk_that_is_there_is_taken_with_one_look_and_no_wait(cmdline: str) -> None:
    machine = Machine({0: FIXED, 0.001: STICK})
    assert machine.find(cmdline).path == "/dev/sda"
    assert (machine.looks, machine.said) == (1, [])
    assert machine.waited < 0.1


def test_a_removable_disk_that_is_named_by_its_node_is_taken_at_once() -> None:
    machine = Machine({0: STICK, 1: FIXED})
    assert machine.find("boot-disk=/dev/sdb").path == "/dev/sdb"
    assert machine.looks == 1


@pytest.mark.parametrize("cmdline", ["", f"usr=PARTUUID={ESP}", "boot-disk=/dev/sda", f"boot-disk=PARTUUID={ESP}"])
def test_an_ordinary_boot_does_not_even_load_what_waits(cmdline: str) -> None:
    config = parse_config("", cmdline)
    for disks, path in (([FIXED], "/dev/sda"), ([FIXED, STICK], "/dev/sda"), ([STICK], ""), ([], "")):
        choice = choose_at_once(disks, config, ESP, disk_of=str)
        assert (choice.path if choice else "") == path
    for disks in ([STICK, SECOND_STICK], [STICK, SECOND_STICK, FIXED]):
        choice = choose_at_once(disks, config, ESP, disk_of=str)
        assert (choice is not None) == (FIXED in disks)


def test_a_slow_disk_is_waited_for() -> None:
    machine = Machine({12.3: FIXED})
    assert machine.find().path == "/dev/sda"
    assert 12.3 <= machine.waited < 12.5


def test_a_disk_that_becomes_readable_without_an_announcement_is_found_within_a_second() -> None:
    machine = Machine({7.5: FIXED}, announced=[])
    assert machine.find().path == "/dev/sda"
    assert machine.waited < 8.7


@pytest.mark.parametrize("later", [0.2, 1.0, 2.9])
@pytest.mark.parametrize("announced", [None, []])
def test_the_fixed_disk_wins_though_its_removable_clone_appears_first(
    later: float, announced: list[float] | None
) -> None:
    machine = Machine({0: STICK, later: FIXED}, announced)
    choice = machine.find()
    assert choice.path == "/dev/sda"
    assert "removable disks with the same identity are left alone" in choice.reason
    assert machine.waited < later + 1.1
    assert machine.said == ["waiting 3 s for a fixed disk: /dev/sdb answers to the name, but is removable"]


def test_a_removable_disk_is_taken_when_it_stays_alone_and_the_reason_says_what_was_waited_for() -> None:
    machine = Machine({0: STICK})
    choice = machine.find()
    assert choice.path == "/dev/sdb"
    assert 3.0 <= machine.waited < 3.2
    assert "it is removable, and no fixed disk with this identity came in 3.0 s" in choice.reason


def test_disks_that_go_on_appearing_put_the_decision_off() -> None:
    others = {when: disk(f"/dev/sd{when:.0f}", OTHER) for when in (2.0, 4.0, 6.0)}
    machine = Machine({0: STICK, **others, 8.0: FIXED})
    assert machine.find().path == "/dev/sda"


def test_two_removable_clones_settle_too_before_they_are_refused() -> None:
    assert Machine({0: STICK, 0.1: SECOND_STICK, 1.5: FIXED}).find().path == "/dev/sda"
    alone = Machine({0: STICK, 0.1: SECOND_STICK})
    with pytest.raises(DiskChoiceError, match="/dev/sdb, /dev/sdc all qualify"):
        alone.find()
    assert alone.waited > 3.0


def test_two_fixed_clones_are_refused_at_once() -> None:
    machine = Machine({0: FIXED, 0.001: disk("/dev/sdd")})
    with pytest.raises(DiskChoiceError, match="/dev/sda, /dev/sdd all qualify"):
        machine.find()
    assert machine.waited < 0.1


def test_the_wait_bounds_the_time_to_settle() -> None:
    machine = Machine({1: STICK, **{when: disk("/dev/sdx", OTHER) for when in range(2, 40)}})
    assert machine.find(conf="wait=5").path == "/dev/sdb"
    assert machine.waited < 5.2
    for conf in ("settle=0", "wait=0"):
        at_once = Machine({0: STICK})
        assert at_once.find(conf=conf).path == "/dev/sdb"
        assert (at_once.waited < 0.1, at_once.said) == (True, [])


def test_a_disk_that_never_comes_is_named_with_the_time_that_was_waited() -> None:
    machine = Machine({})
    with pytest.raises(DiskChoiceError, match="a disk with slots did not appear within 30 s"):
        machine.find(loader="")
    assert 30 <= machine.waited < 30.2
    with pytest.raises(DiskChoiceError, match="/dev/disk/by-id/x did not appear"):
        Machine({0: FIXED}).find("boot-disk=/dev/disk/by-id/x")


def test_without_the_disk_of_the_boot_loader_the_only_one_is_taken_after_the_wait() -> None:
    machine = Machine({0: disk("/dev/sda", OTHER)})
    choice = machine.find()
    assert choice.path == "/dev/sda"
    assert f"the partition {ESP} of the boot loader is on none" in choice.reason
    assert machine.waited > 30


def test_hundreds_of_announcements_do_not_lengthen_the_wait() -> None:
    machine = Machine({29: FIXED}, announced=[0.09 * step for step in range(1, 400)])
    assert machine.find().path == "/dev/sda"
    assert machine.waited < 29.2
