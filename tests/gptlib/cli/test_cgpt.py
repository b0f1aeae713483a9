"""A script that calls cgpt runs with gptctl in its place: outputs and exit codes of Debian's cgpt and ours, side by side."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlib import Disk, Guid
from gptlib.cli.main import main
from tests.gptlib import tables
from tests.gptlib.readers import run
from tests.gptlib.tables import MASK_CGPT, blank, examples, partition_sets, table_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gptlib import Partition

COREOS = "5DFBF5F4-2848-4BAC-AA5E-0D9A20B745A6"
SHOW_OPTIONS = [[], ["-v"], ["-n"], ["-v", "-n"], ["-q"], ["-q", "-n"], ["-d"], ["-dn"]]
FIELDS = "bstulSTPRBA"
SHOWN = 23
"""Characters of a label that cgpt shows for certain: it has room for 71 bytes of UTF-8."""


def gptctl(capfdbinary: pytest.CaptureFixture[bytes], *argv: object) -> tuple[int, str]:
    """Exit code and stdout of ours."""
    capfdbinary.readouterr()
    code = main([str(word) for word in argv])
    return code, capfdbinary.readouterr().out.decode()


def cgpt(*argv: object) -> tuple[int, str]:
    """Exit code and stdout of Debian's."""
    result = run("cgpt", *argv)
    return result.returncode, result.stdout


def write(path: Path, partitions: dict[int, Partition]) -> Path:
    with Disk.open(blank(path), write=True) as disk:
        disk.create(table_of(partitions))
    return path


def without_coreos(text: str) -> str:
    """ChromeOS's cgpt does not know CoreOS's type: neither its name nor that its attributes are those of a slot."""
    text = text.replace("Alias for coreos-rootfs", COREOS)
    return re.sub(rf"({COREOS}\n +UUID: .*\n) +Attr: priority=.*\n", r"\1", text)


# The types and labels that both define: of the other types seismograph's cgpt has the names, and ChromeOS's the GUID.
CHROMEOS_TYPES = ["kernel", "rootfs", "efi", "data", "firmware", "reserved", "minios", "hibernate", "basicdata"]


@examples(25)
@given(partitions=partition_sets(types=CHROMEOS_TYPES, label_size=SHOWN), option=st.sampled_from(SHOW_OPTIONS))
def test_show_prints_what_cgpt_prints(
    ram: Path, capfdbinary: pytest.CaptureFixture[bytes], partitions: dict[int, Partition], option: list[str]
) -> None:
    path = write(ram / "disk.img", partitions)
    assert gptctl(capfdbinary, "show", *option, path) == cgpt("show", *option, path)


@examples(25)
@given(
    partitions=partition_sets(types=CHROMEOS_TYPES, label_size=SHOWN),
    number=st.integers(1, 140),
    field=st.sampled_from(["", *(f"-{letter}" for letter in FIELDS)]),
)
def test_show_prints_the_single_fields_that_cgpt_prints(
    ram: Path, capfdbinary: pytest.CaptureFixture[bytes], partitions: dict[int, Partition], number: int, field: str
) -> None:
    path = write(ram / "disk.img", partitions)
    for index in {number, *partitions}:
        words = ["show", "-i", str(index), *([field] if field else []), path]
        assert gptctl(capfdbinary, *words) == cgpt(*words)


@examples(15)
@given(partitions=partition_sets(types=["coreos-usr"], attributes=0x1FF << 48, label_size=SHOWN))
def test_a_coreos_slot_differs_from_chromeos_in_its_name_and_its_attributes_only(
    ram: Path, capfdbinary: pytest.CaptureFixture[bytes], partitions: dict[int, Partition]
) -> None:
    path = write(ram / "disk.img", partitions)
    code, text = gptctl(capfdbinary, "show", "-v", path)
    assert (code, without_coreos(text)) == cgpt("show", "-v", path)
    for partition in partitions.values():
        bits = partition.attributes
        assert f"Attr: priority={bits.priority} tries={bits.tries} successful={int(bits.successful)}\n" in text


# Sectors of a disk of 4096: primary header, primary entries, backup entries, backup header.
DAMAGES = {"H1": [1], "E1": [2], "E2": [4063], "H2": [4095], "H1 and E1": [1, 2], "H2 and E2": [4063, 4095]}


@pytest.mark.parametrize("option", ["", "-v", "-n", "-q", "-d"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_show_of_a_damaged_disk_is_that_of_cgpt(
    ram: Path, capfdbinary: pytest.CaptureFixture[bytes], damage: str, option: str
) -> None:
    path = ram / "disk.img"
    tables.make_with_cgpt(path, SLOTS)
    zero(path, DAMAGES[damage])
    words = ["show", *([option] if option else []), path]
    theirs = cgpt(*words)
    # Of a copy without a header cgpt -d shows what happens to stand there: a header of zeros, the CRC of nothing.
    if option == "-d" and "H" in damage:
        theirs = (
            theirs[0],
            re.sub(r"(Sig: \[\0{8}\]\n(?:.*\n){12})", lambda match: fix_zero_header(match[1]), theirs[1]),
        )
    assert gptctl(capfdbinary, *words) == theirs


def fix_zero_header(text: str) -> str:
    return re.sub(r"(Entries CRC: \S+ ).*\n", r"\1INVALID\n", re.sub(r"(Header CRC: \S+ ).*\n", r"\1(INVALID)\n", text))


@pytest.mark.parametrize("damage", DAMAGES)
def test_repair_tells_what_cgpt_tells_and_leaves_the_same_bytes(
    ram: Path, capfdbinary: pytest.CaptureFixture[bytes], damage: str
) -> None:
    path, copy = ram / "disk.img", ram / "copy.img"
    tables.make_with_cgpt(path, SLOTS)
    zero(path, DAMAGES[damage])
    shutil.copyfile(path, copy)
    assert gptctl(capfdbinary, "repair", "-v", path) == cgpt("repair", "-v", copy)
    assert path.read_bytes() == copy.read_bytes()


def zero(path: Path, sectors: Sequence[int]) -> None:
    with path.open("r+b") as file:
        for sector in sectors:
            file.seek(sector * 512)
            file.write(bytes(512))


def slots() -> dict[int, Partition]:
    from gptlib import Attributes, Partition, type_guid

    kernel, attributes = type_guid("kernel"), Attributes(0).with_slot(priority=2, tries=1, successful=True)
    return {
        2: Partition(kernel, Guid(b"A" * 16), 64, 127, attributes, "KERN-A"),
        4: Partition(kernel, Guid(b"B" * 16), 128, 191, attributes.with_slot(priority=1), "KERN-B"),
        7: Partition(type_guid("efi"), Guid(b"C" * 16), 256, 257, Attributes(5), "EFI"),
    }


SLOTS = slots()


@examples(40)
@given(
    partitions=partition_sets(types=["kernel", "kernel", "kernel", "data", "coreos-usr"], attributes=MASK_CGPT),
    number=st.none() | st.integers(0, 5),
    highest=st.none() | st.integers(0, 16),
    friends=st.booleans(),
)
def test_prioritize_gives_every_slot_the_priority_that_cgpt_gives_it(
    ram: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    partitions: dict[int, Partition],
    number: int | None,
    highest: int | None,
    friends: bool,
) -> None:
    kernels = [n for n, partition in partitions.items() if str(partition.type_guid).startswith("FE3A2A5D")]
    if not kernels:
        return
    path, copy = write(ram / "disk.img", partitions), ram / "copy.img"
    shutil.copyfile(path, copy)
    unused = next(entry for entry in range(1, 129) if entry not in partitions)
    chosen = None if number is None else (kernels[number] if number < len(kernels) else unused)
    words = [
        *(["-i", chosen] if chosen else []),
        *(["-P", highest] if highest is not None else []),
        *(["-f"] if friends else []),
    ]
    assert gptctl(capfdbinary, "prioritize", *words, path) == (cgpt("prioritize", *words, copy)[0], "")
    assert path.read_bytes() == copy.read_bytes()


@examples(15)
@given(partitions=partition_sets(types=["kernel", "data", "efi"], max_partitions=5, label_size=SHOWN), data=st.data())
def test_find_finds_what_cgpt_finds(
    ram: Path, capfdbinary: pytest.CaptureFixture[bytes], partitions: dict[int, Partition], data: st.DataObject
) -> None:
    path, digit = write(ram / "disk.img", partitions), ram / "disk0"
    shutil.copyfile(path, digit)
    (ram / "content").write_bytes(bytes(700))
    known = list(partitions.values())
    queries: list[list[object]] = [["-t", "kernel"], ["-t", "efi"], ["-l", ""], ["-u", Guid(b"?" * 16)]]
    queries += [[option, value] for p in known for option, value in (("-u", p.unique_guid), ("-l", p.label))]
    query = data.draw(st.sampled_from(queries))
    options = data.draw(st.sets(st.sampled_from(["-v", "-n", "-1"])))
    content = data.draw(st.sampled_from([[], ["-M", ram / "content"], ["-M", ram / "content", "-O", "100"]]))
    words = ["find", *query, *sorted(options), *content, path, digit]
    assert gptctl(capfdbinary, *words) == cgpt(*words)


def test_boot_prints_and_sets_the_guid_and_code_that_cgpt_sets(
    ram: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path, copy, code = ram / "disk.img", ram / "copy.img", ram / "gptmbr.bin"
    tables.make_with_cgpt(path, SLOTS)
    shutil.copyfile(path, copy)
    code.write_bytes(bytes(range(1, 221)) * 2)
    for words in ([], ["-i", "2"], ["-b", code], ["-i", "7", "-b", code], ["-p"], []):
        assert gptctl(capfdbinary, "boot", *words, path) == cgpt("boot", *words, copy)
    ours, theirs = path.read_bytes(), copy.read_bytes()
    # cgpt says FF FF FF for the end in CHS of any disk; UEFI asks for the real one where it fits.
    assert ours[451:454] == bytes([65, 1, 0])
    assert theirs[451:454] == b"\xff\xff\xff"
    assert ours[:451] + ours[454:] == theirs[:451] + theirs[454:]


def test_legacy_makes_the_bytes_that_cgpt_makes(ram: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path, copy = ram / "disk.img", ram / "copy.img"
    for option in ([], ["-p"]):
        tables.make_with_cgpt(path, SLOTS)
        original = path.read_bytes()
        shutil.copyfile(path, copy)
        assert gptctl(capfdbinary, "legacy", *option, path) == cgpt("legacy", *option, copy)
        assert path.read_bytes() == copy.read_bytes()
        assert gptctl(capfdbinary, "show", path) == cgpt("show", copy)
        assert gptctl(capfdbinary, "legacy", "-e", path) == (0, "")
        assert path.read_bytes() == original


def test_legacy_leaves_a_primary_alone_that_is_to_be_ignored(
    ram: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path, copy = ram / "disk.img", ram / "copy.img"
    tables.make_with_cgpt(path, SLOTS)
    cgpt("legacy", "-p", path)
    shutil.copyfile(path, copy)
    assert gptctl(capfdbinary, "legacy", path) == cgpt("legacy", copy)
    assert path.read_bytes() == copy.read_bytes()


def test_create_replaces_a_table_in_legacy_mode_as_cgpt_does(
    ram: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path, copy = ram / "disk.img", ram / "copy.img"
    tables.make_with_cgpt(path, SLOTS)
    cgpt("legacy", path)
    shutil.copyfile(path, copy)
    assert gptctl(capfdbinary, "create", path)[0] == cgpt("create", copy)[0] == 0
    for image in (path, copy):
        assert b"CHROMEOS" not in image.read_bytes()
        assert gptctl(capfdbinary, "show", "-q", image) == cgpt("show", "-q", image) == (0, "")


@pytest.mark.parametrize("where", [["D", "missing"], ["missing", "D"], ["missing"]])
def test_find_passes_over_a_drive_that_is_not_there(
    ram: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], where: list[str]
) -> None:
    monkeypatch.chdir(ram)
    tables.make_with_cgpt(ram / "D", SLOTS)
    words = ["find", "-t", "kernel", *where]
    assert gptctl(capfdbinary, *words) == cgpt(*words)


@pytest.mark.parametrize("size", [0, 1, 512, 1024, 1536, 2048])
def test_boot_takes_nothing_for_a_disk_that_cgpt_does_not(
    ram: Path, capfdbinary: pytest.CaptureFixture[bytes], size: int
) -> None:
    path = ram / "disk.img"
    path.write_bytes(bytes(size))
    for words in (["boot", path], ["boot", "-p", path]):
        assert gptctl(capfdbinary, *words)[0] == cgpt(*words)[0]


@pytest.mark.parametrize(
    "number", ["0b10", "0o2", "\u0662", "2 ", " 2", "+2", "02", "0x2", "0X2", "2_0", "08", "", "-"]
)
def test_numbers_are_those_of_cgpt(ram: Path, capfdbinary: pytest.CaptureFixture[bytes], number: str) -> None:
    path = ram / "disk.img"
    tables.make_with_cgpt(path, SLOTS)
    words = ["show", "-i", number, "-l", path]
    (code, out), theirs = gptctl(capfdbinary, *words), cgpt(*words)
    assert code == theirs[0]
    assert code or out == theirs[1]


def test_edit_changes_the_disk_guid_as_cgpt_does(ram: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path, copy = ram / "disk.img", ram / "copy.img"
    tables.make_with_cgpt(path, SLOTS)
    shutil.copyfile(path, copy)
    words = ["edit", "-u", "01234567-89AB-CDEF-0123-456789ABCDEF"]
    assert gptctl(capfdbinary, *words, path) == cgpt(*words, copy)
    assert path.read_bytes() == copy.read_bytes()


@examples(10)
@given(partitions=partition_sets(attributes=MASK_CGPT, label_size=35))
def test_a_table_made_command_by_command_is_the_one_that_cgpt_makes(
    ram: Path, capfdbinary: pytest.CaptureFixture[bytes], partitions: dict[int, Partition]
) -> None:
    path = ram / "disk.img"
    tables.make_with_cgpt(path, partitions)
    theirs = path.read_bytes()
    guid = cgpt("show", "-v", path)[1].split("Disk UUID: ")[1].split()[0]
    assert gptctl(capfdbinary, "create", "-g", guid, blank(path)) == (0, "")
    for number, p in partitions.items():
        words = [
            "-i",
            number,
            "-b",
            p.first_lba,
            "-s",
            p.sectors,
            "-t",
            p.type_guid,
            "-u",
            p.unique_guid,
            "-l",
            p.label,
        ]
        assert gptctl(capfdbinary, "add", *words, "-A", p.attributes >> 48, path) == (0, "")
        flags = ["-R", int(p.attributes.required), "-B", int(p.attributes.legacy_boot)]
        assert gptctl(capfdbinary, "add", "-i", number, *flags, path) == (0, "")
    assert path.read_bytes()[512:] == theirs[512:]


def test_a_label_that_is_too_long_is_cut_off_as_by_cgpt_with_a_warning(
    ram: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, copy = ram / "disk.img", ram / "copy.img"
    tables.make_with_cgpt(path, SLOTS)
    shutil.copyfile(path, copy)
    label = "0123456789" * 4
    capfd.readouterr()
    assert main(["add", "-i", "2", "-l", label, str(path)]) == 0
    assert capfd.readouterr().err == f"WARNING: the label is too long; it is cut off to {label[:36]!r}\n"
    assert cgpt("add", "-i", "2", "-l", label, copy)[0] == 0
    assert cgpt("show", "-i", "2", "-l", path)[1].startswith(cgpt("show", "-i", "2", "-l", copy)[1].strip())


WRONG = [
    ["show"],
    ["show", "-x", "disk.img"],
    ["show", "-i", "0", "disk.img"],
    ["show", "-i", "129", "disk.img"],
    ["show", "-i", "five", "disk.img"],
    ["show", "-b", "disk.img"],
    ["show", "-i", "2", "-b", "-s", "disk.img"],
    ["show", "missing.img"],
    ["show", "empty.img"],
    ["add", "disk.img"],
    ["add", "-i", "200", "-l", "x", "disk.img"],
    ["add", "-b", "64", "-s", "4", "-t", "data", "disk.img"],
    ["add", "-b", "10", "-s", "4", "-t", "data", "disk.img"],
    ["add", "-b", "4060", "-s", "10", "-t", "data", "disk.img"],
    ["add", "-b", "300", "-s", "0", "-t", "data", "disk.img"],
    ["add", "-b", "300", "-s", "1", "-t", "unused", "disk.img"],
    ["add", "-b", "300", "-s", "1", "-t", "nonsense", "disk.img"],
    ["add", "-i", "2", "-P", "16", "disk.img"],
    ["add", "-i", "2", "-T", "-1", "disk.img"],
    ["add", "-i", "2", "-S", "2", "disk.img"],
    ["add", "-i", "2", "-s", "100", "disk.img"],
    ["add", "-i", "2", "-u", "42424242-4242-4242-4242-424242424242", "disk.img"],
    ["add", "-i"],
    ["create"],
    ["create", "-p", "x", "disk.img"],
    ["repair"],
    ["repair", "missing.img"],
    ["boot", "-i", "129", "disk.img"],
    ["boot", "-b", "missing", "disk.img"],
    ["boot", "-b", "empty", "disk.img"],
    ["find", "disk.img"],
    ["find", "-t", "nonsense", "disk.img"],
    ["find", "-M", "missing", "-t", "data", "disk.img"],
    ["edit", "disk.img"],
    ["edit", "-u", "zz", "disk.img"],
    ["prioritize", "-f", "disk.img"],
    ["prioritize", "-i", "7", "disk.img"],
    ["prioritize", "-i", "200", "disk.img"],
    ["prioritize", "-P", "0", "disk.img"],
    ["legacy", "-e", "-p", "disk.img"],
    ["legacy", "empty.img"],
]


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_what_cgpt_refuses_is_refused_with_its_exit_code_in_one_line_and_changes_nothing(
    ram: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.chdir(ram)
    tables.make_with_cgpt(ram / "disk.img", SLOTS)
    blank(ram / "empty.img")
    (ram / "empty").touch()
    before = {path.name: path.read_bytes() for path in ram.iterdir()}
    capfd.readouterr()
    assert main(words) == run("cgpt", *words).returncode == 1
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("ERROR: ")
    assert captured.err.count("\n") == 1
    if "disk.img" in words and "see gptctl" not in captured.err:
        assert captured.err.startswith("ERROR: disk.img: ")
    assert {path.name: path.read_bytes() for path in ram.iterdir()} == before
