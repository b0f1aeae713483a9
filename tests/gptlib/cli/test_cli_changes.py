"""What gptctl changes beyond what Debian's cgpt defines: images made, raw attributes, repair, what is refused."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gptlib import Disk
from tests.gptlib.handmade import Gpt, zeroed
from tests.gptlib.readers import run, tool
from tests.gptlib.slots import two_slots

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def path(ram: Path) -> Path:
    return two_slots(ram)


def test_create_makes_an_image_file(gptctl: Callable[..., tuple[int, str, str]], ram: Path) -> None:
    path = ram / "new.img"
    guid = "01234567-89AB-CDEF-0123-456789ABCDEF"
    assert gptctl("create", "-c", "-s", 2048, "-g", guid, path) == (0, "", "")
    assert path.stat().st_size == 2048 * 512
    assert "No problems found" in tool("sgdisk", "--verify", path)
    assert f"Disk UUID: {guid}\n" in tool("cgpt", "show", "-v", path)
    assert gptctl("create", "-c", "-s", 4096, path)[0] == 0
    assert path.stat().st_size == 4096 * 512
    assert gptctl("create", "-s", 100, path)[0] == 0
    assert path.stat().st_size == 4096 * 512


def test_create_for_4096_byte_sectors(gptctl: Callable[..., tuple[int, str, str]], ram: Path) -> None:
    path = ram / "new.img"
    assert gptctl("create", "-c", "-s", 512, "--sector-size", 4096, path) == (0, "", "")
    with Disk.open(path) as disk:
        assert (disk.table().sector_size, disk.table().total_sectors) == (4096, 512)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-c"], "minimum size (-s) is required with create (-c)"),
        (["-c", "-s", "60"], "a disk of 60 sectors is too small for a GPT"),
        (["-c", "-s", "2048", "-p", "1981"], "too small"),
        (["-c", "-s", str(1 << 60)], "value for -s must be between 1 and"),
        (["-c", "-s", "2048", "-g", "x"], "is not a GUID"),
        (["-c", "-s", "2048", "--sector-size", "520"], "it must be 512 or 4096"),
        (["-s", "2048"], "cannot be opened: No such file"),
    ],
)
def test_a_creation_that_is_refused_leaves_no_file(
    gptctl: Callable[..., tuple[int, str, str]], ram: Path, words: list[str], message: str
) -> None:
    path = ram / "new.img"
    code, out, err = gptctl("create", *words, path)
    assert (code, out) == (1, "")
    assert message in err
    assert err.count("\n") == 1
    assert not path.exists()


def test_an_image_that_is_too_large_for_its_file_system_is_not_left_behind(
    gptctl: Callable[..., tuple[int, str, str]], ram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*_: object) -> None:
        raise OSError(27, "File too large")

    monkeypatch.setattr(os, "truncate", too_large)
    code, _, err = gptctl("create", "-c", "-s", 1 << 50, ram / "new.img")
    assert code == 1
    assert err == f"ERROR: {ram}/new.img: cannot be made {1 << 59} bytes large: File too large\n"
    assert not (ram / "new.img").exists()


def test_creation_where_no_file_can_be_made(gptctl: Callable[..., tuple[int, str, str]], ram: Path) -> None:
    code, _, err = gptctl("create", "-c", "-s", 2048, ram / "missing" / "new.img")
    assert code == 1
    assert "cannot be created: No such file or directory" in err


def test_a_refused_extension_leaves_the_size_alone(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    before = path.read_bytes()
    assert gptctl("create", "-s", 5000, "-p", 4990, path)[0] == 1
    assert path.read_bytes() == before


def test_create_z_removes_the_table(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    assert gptctl("create", "-z", path) == (0, "", "")
    code, _, err = gptctl("show", path)
    assert code == 1
    assert "no GUID partition table" in err


def test_add_takes_a_raw_value_of_16_or_of_64_bits(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    assert gptctl("add", "-i", 3, "-R", 1, path)[0] == 0
    assert gptctl("add", "-i", 3, "-A", "0x8123", path)[0] == 0
    with Disk.open(path) as disk:
        assert disk.table().partition(3).attributes == 0x8123 << 48 | 1
    assert gptctl("add", "-i", 3, "-A", "0x8123000000000004", path)[0] == 0
    with Disk.open(path) as disk:
        assert disk.table().partition(3).attributes == 0x8123 << 48 | 4


def test_a_label_that_is_not_utf_8_is_refused(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    code, _, err = gptctl("add", "-i", 3, "-l", b"\xff".decode("utf-8", "surrogateescape"), path)
    assert code == 1
    assert "the label is not UTF-8" in err


def test_an_attribute_changes_even_where_the_table_is_illegal(
    gptctl: Callable[..., tuple[int, str, str]], ram: Path
) -> None:
    """Two partitions overlap: no reason to leave a slot that has booted unmarked."""
    from tests.gptlib.handmade import Entry

    path = ram / "disk.img"
    path.write_bytes(Gpt(entries={1: Entry(100, 300), 2: Entry(200, 400)}).image())
    assert gptctl("add", "-i", 1, "-S", 1, path)[0] == 0
    assert gptctl("add", "-i", 1, "-s", 10, path)[0] == 0
    assert gptctl("verify", path)[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("add -b 205 -s 10 -t data disk.img", "partition 1 (sectors 205 to 214) would overlap partition 4"),
        ("resize -i 9 disk.img", "there is no partition 9; used: [3, 4]"),
        ("create -p 9999 disk.img", "a disk of 4096 sectors is too small for a GPT"),
        ("create -c -s 50 new.img", "a disk of 50 sectors is too small for a GPT"),
        ("legacy -e two.img", "no GUID partition table"),
    ],
)
def test_every_refusal_names_the_drive_once(
    gptctl: Callable[..., tuple[int, str, str]],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    message: str,
) -> None:
    monkeypatch.chdir(path.parent)
    (path.parent / "two.img").write_bytes(bytes(4096 * 512))
    *options, drive = words.split()
    code, _, err = gptctl(*options, drive)
    assert code == 1
    assert err.startswith(f"ERROR: {drive}: {message}")
    assert err.count(drive) == 1
    assert not (path.parent / "new.img").exists()


def test_next_counts_the_try_of_a_slot_whose_place_is_illegal(
    gptctl: Callable[..., tuple[int, str, str]], ram: Path
) -> None:
    """It ends before it starts: it will not boot, and only with its tries counted does another boot take the next one."""
    from tests.gptlib.handmade import Entry

    path = ram / "disk.img"
    slots = {1: Entry(300, 100, "A", attributes=0x0022 << 48), 2: Entry(400, 500, "B", attributes=0x0101 << 48)}
    path.write_bytes(Gpt(entries=slots).image())
    assert gptctl("next", path) == (0, f"{slots[1].guid}\n", "")
    after = {1: replace(slots[1], attributes=0x0012 << 48), 2: slots[2]}
    assert path.read_bytes() == Gpt(entries=after).image()


def test_add_repairs_what_is_damaged(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    """cgpt refuses until repair has run; a slot could not be marked good that long."""
    path.write_bytes(zeroed(bytearray(path.read_bytes()), -1))
    assert run("cgpt", "add", "-i", 3, "-S", 0, path).returncode == 1
    assert gptctl("add", "-i", 3, "-S", 0, path) == (0, "", "")
    assert gptctl("verify", path)[0] == 0


def test_repair_of_a_grown_image_tells_what_it_did(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    with path.open("ab") as file:
        file.truncate(8192 * 512)
    assert gptctl("repair", path)[1].splitlines() == [
        "Primary Header is updated.",
        "Secondary Entries is updated.",
        "Secondary Header is updated.",
        "Protective MBR is updated.",
    ]
    assert gptctl("repair", path) == (0, "", "")


@pytest.mark.parametrize(
    "command", ["repair", "next", "add -i 1 -P 1", "prioritize", "edit -u 01234567-89AB-CDEF-0123-456789ABCDEF"]
)
def test_two_dead_copies_are_refused_by_everything_that_writes(
    gptctl: Callable[..., tuple[int, str, str]], path: Path, command: str
) -> None:
    image = zeroed(zeroed(bytearray(path.read_bytes()), 2), -33)
    path.write_bytes(image)
    code, out, err = gptctl(*command.split(), path)
    assert (code, out) == (1, "")
    assert "both copies of the GPT are damaged" in err
    assert err.count("\n") == 1
    assert path.read_bytes() == image
