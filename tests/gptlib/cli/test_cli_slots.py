"""CoreOS's commands and rules: next, prioritize, resize; find over several disks; ChromeOS's legacy modes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

import gptlib.linux.scan
from gptlib import Disk, type_guid
from tests.gptlib.handmade import zeroed
from tests.gptlib.slots import attributes, disk_of, pts, two_slots
from tests.gptlib.tables import blank

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def path(ram: Path) -> Path:
    return two_slots(ram)


@pytest.mark.parametrize(
    ("slots", "chosen", "after"),
    [
        # The cases of seismograph's tests/run_cgpt_tests.sh and of its source.
        ([(1, 0, 1), (0, 0, 0)], 3, (1, 0, 1)),
        ([(1, 0, 1), (2, 3, 0)], 4, (2, 2, 0)),
        ([(1, 0, 1), (2, 0, 0)], 3, (1, 0, 1)),
        ([(1, 0, 0), (2, 0, 0)], 3, (1, 0, 0)),
        ([(0, 0, 0), (0, 1, 0)], 4, (0, 0, 0)),
        ([(2, 0, 1), (2, 5, 0)], 3, (2, 0, 1)),
        ([(3, 7, 1), (2, 0, 1)], 3, (3, 6, 1)),
        ([(15, 15, 0)], 3, (15, 14, 0)),
    ],
)
def test_next_chooses_and_counts_as_seismograph_does(
    gptctl: Callable[..., tuple[int, str, str]],
    ram: Path,
    slots: list[tuple[int, int, int]],
    chosen: int,
    after: tuple[int, int, int],
) -> None:
    partitions = pts(*slots)
    path = disk_of(ram / "disk.img", partitions)
    assert gptctl("next", path) == (0, f"{partitions[chosen].unique_guid.text}\n", "")
    assert attributes(path)[chosen] == "priority={} tries={} successful={}".format(*after)


def test_next_names_no_slot_whose_try_could_not_be_counted(
    gptctl: Callable[..., tuple[int, str, str]], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pwrite", broken)
    code, out, err = gptctl("next", path)
    assert (code, out) == (1, "")
    assert "Input/output error" in err


def test_next_without_slots_is_refused(gptctl: Callable[..., tuple[int, str, str]], ram: Path) -> None:
    code, out, err = gptctl("next", disk_of(ram / "disk.img", {}))
    assert (code, out) == (1, "")
    assert "there is no partition of the type coreos-usr" in err


def test_next_and_find_look_at_all_disks(
    gptctl: Callable[..., tuple[int, str, str]], ram: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = disk_of(ram / "one.img", pts((1, 0, 1)))
    two = disk_of(ram / "two.img", pts((3, 0, 0), (2, 1, 0)))
    empty = blank(ram / "empty.img")
    monkeypatch.setattr(gptlib.linux.scan, "whole_disks", lambda: [str(disk) for disk in (empty, one, two)])
    with Disk.open(two) as disk:
        wanted = disk.table().partition(4).unique_guid.text
    code, out, err = gptctl("next")
    assert (code, out) == (0, f"{wanted}\n")
    assert err.startswith(f"WARNING: passed over: {empty}: no GUID partition table")
    assert attributes(two)[4] == "priority=2 tries=0 successful=0"
    assert gptctl("find", "-t", "coreos-usr")[1].splitlines() == [f"{one}3", f"{two}3", f"{two}4"]
    monkeypatch.setattr(gptlib.linux.scan, "whole_disks", list)
    assert gptctl("next")[0] == gptctl("find", "-t", "efi")[0] == 1


def test_whole_disks_are_real_devices_in_the_order_of_the_kernel(tmp_path: Path) -> None:
    (tmp_path / "partitions").write_text(
        "major minor  #blocks  name\n\n   8        0   1000 sda\n   8        1    500 sda1\n   7        0     10 loop0\n"
        " 104        0   2000 cciss/c0d0\n 252        0     20 gone\n"
    )
    for name in ("sda", "cciss!c0d0", "gone"):
        (tmp_path / "sys" / name).mkdir(parents=True)
        (tmp_path / "sys" / name / "device").symlink_to(tmp_path)
        (tmp_path / "sys" / name / "removable").write_text(f"{int(name == 'sda')}\n")
    (tmp_path / "sys" / "loop0").mkdir()
    (tmp_path / "dev" / "cciss").mkdir(parents=True)
    found: list[str] = []
    for name in ("sda", "cciss/c0d0"):
        node = tmp_path / "dev" / name
        if os.geteuid() == 0:
            os.mknod(node, 0o60600, os.makedev(7, 255))
            found.append(str(node))
        else:
            node.touch()
    arguments = {
        "partitions": str(tmp_path / "partitions"),
        "sysfs": str(tmp_path / "sys"),
        "dev": str(tmp_path / "dev"),
    }
    assert gptlib.linux.scan.whole_disks(**arguments) == found
    assert [disk.removable for disk in gptlib.linux.scan.real_disks(**arguments)] == [True, False][: len(found)]
    assert gptlib.linux.scan.whole_disks(partitions=str(tmp_path / "missing")) == []


def test_prioritize_takes_coreos_slots_where_there_are_no_chromeos_ones(
    gptctl: Callable[..., tuple[int, str, str]], ram: Path
) -> None:
    path = disk_of(ram / "disk.img", pts((5, 0, 1), (9, 3, 0), (0, 0, 0), (9, 0, 1)))
    assert gptctl("prioritize", path) == (0, "", "")
    assert [line.split()[0] for line in attributes(path).values()] == [
        "priority=1",
        "priority=2",
        "priority=0",
        "priority=2",
    ]
    assert gptctl("prioritize", "-i", 5, path)[0] == 0
    assert [line.split()[0] for line in attributes(path).values()] == [
        "priority=1",
        "priority=2",
        "priority=3",
        "priority=2",
    ]
    assert gptctl("prioritize", "-i", 4, "-f", "-P", 12, path)[0] == 0
    assert [line.split()[0] for line in attributes(path).values()] == [
        "priority=10",
        "priority=12",
        "priority=11",
        "priority=12",
    ]


def test_prioritize_of_other_families_follows_the_type_of_the_partition(
    gptctl: Callable[..., tuple[int, str, str]], ram: Path
) -> None:
    boot = type_guid("bottlerocket-boot")
    partitions = {n: p._replace(type_guid=boot) for n, p in pts((7, 0, 1), (3, 0, 1)).items()}
    path = disk_of(ram / "disk.img", partitions)
    assert gptctl("prioritize", path)[0] == 0
    assert list(attributes(path).values()) == ["priority=2 tries=0 successful=1", "priority=1 tries=0 successful=1"]
    assert "Attr: priority=2 tries=0 successful=1" in gptctl("show", path)[1]
    assert gptctl("prioritize", disk_of(ram / "none.img", {})) == (0, "", "")


def test_resize_grows_into_the_space_behind_and_never_shrinks(
    gptctl: Callable[..., tuple[int, str, str]], path: Path
) -> None:
    assert gptctl("resize", "-i", 3, "-m", 1, path) == (0, "", "")
    with Disk.open(path) as disk:
        assert disk.table().partition(3).last_lba == 199
    before = path.read_bytes()
    assert gptctl("resize", "-i", 3, "-m", 0, path) == (0, "", "")
    assert gptctl("resize", "-i", 4, path) == (0, "", "")
    assert path.read_bytes() == before
    with path.open("ab") as file:
        file.truncate(16384 * 512)
    assert gptctl("resize", "-i", 4, path) == (0, "", "")
    with Disk.open(path) as disk:
        state = disk.read()
    assert state.findings == ()
    assert state.table is not None
    assert state.table.partition(4).last_lba == 16384 - 34


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resize", "disk.img"], "missing partition: give the node of one, or -i"),
        (["resize"], "missing partition argument"),
        (["resize", "-i", "9", "disk.img"], "there is no partition 9"),
        (
            ["resize", "PARTUUID=01234567-89AB-CDEF-0123-456789ABCDEF"],
            "/dev/disk/by-partuuid/01234567-89ab-cdef-0123-456789abcdef",
        ),
        (["resize", "LABEL=ROOT"], "/dev/disk/by-label/ROOT: cannot be opened"),
        # As udev names it: blkid -o udev says ID_FS_LABEL_ENC=EFI\\x20\\x22\\xc3...: letters beyond ASCII stay as they are.
        (["resize", 'PARTLABEL=EFI "é/-1'], r"/dev/disk/by-partlabel/EFI\x20\x22é\x2f-1: cannot be opened"),
    ],
)
def test_a_resize_of_nothing_is_refused(
    gptctl: Callable[..., tuple[int, str, str]],
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(path.parent)
    code, _, err = gptctl(*words)
    assert code == 1
    assert message in err


def test_find_json_has_the_entries_of_show(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    entries = json.loads(gptctl("show", "--json", path)[1])["partitions"]
    code, out, _ = gptctl("find", "--json", "-t", "coreos-usr", path)
    assert code == 0
    assert json.loads(out) == [{"path": str(path), "node": f"{path}{e['number']}", **e} for e in entries]
    assert gptctl("find", "--json", "-t", "efi", path) == (1, "[]\n", "")


def test_find_tells_which_drive_it_could_not_search(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    empty = blank(path.with_name("empty.img"))
    code, out, err = gptctl("find", "-l", "USR-A", empty, path)
    assert (code, out) == (0, f"{path}3\n")
    assert err.startswith(f"ERROR: {empty}: no GUID partition table")


def test_a_legacy_table_is_not_changed_but_left(gptctl: Callable[..., tuple[int, str, str]], path: Path) -> None:
    assert gptctl("legacy", path)[0] == 0
    for words in (["add", "-i", 3, "-P", 1], ["repair"], ["next"]):
        code, _, err = gptctl(*words, path)
        assert code == 1
        assert "leave it first (gptctl legacy -e)" in err
    assert gptctl("legacy", "-e", path)[0] == 0
    assert gptctl("add", "-i", 3, "-P", 5, path)[0] == 0


def test_legacy_modes_are_refused_without_a_valid_backup(
    gptctl: Callable[..., tuple[int, str, str]], path: Path
) -> None:
    image = zeroed(bytearray(path.read_bytes()), -1)
    path.write_bytes(image)
    for option in ([], ["-p"]):
        code, _, err = gptctl("legacy", *option, path)
        assert code == 1
        assert "the backup is not valid and cannot be left as the only table; repair it first" in err
    assert path.read_bytes() == image
