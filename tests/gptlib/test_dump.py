"""The text form: what it holds is given back to the byte, and what it does not understand is refused."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlib import Disk, Partition, Table
from gptlib.cli.main import main
from gptlib.dump import MAGIC, Dump, DumpError, dump_text, parse_dump
from tests.gptlib.handmade import Entry, Gpt
from tests.gptlib.read.test_state import GEOMETRIES
from tests.gptlib.readers import tool
from tests.gptlib.tables import blank, examples, partition_sets, table_of

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
# gptctl dump 1
disk sectors=2048 sector-size=512 guid=01234567-89AB-CDEF-0123-456789ABCDEF
usable first=34 last=2014
entries count=128 size=128 primary=2 backup=2015
header backup=2047 revision=0x00010000 size=92
mbr

# a comment
partition number=3 start=64 size=100 label="USR-A" type=coreos-usr guid=7130C94A-213A-4E5A-8E26-6CCE9662F132 priority=1 tries=0 successful=1
"""


def dump(path: Path) -> str:
    with Disk.open(path) as disk:
        state = disk.read()
    assert state.table is not None
    return dump_text(Dump(state.table, state.mbr))


def test_a_dump_is_text_that_a_reviewer_can_read(ram: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (ram / "disk.dump").write_text(TEXT)
    path = blank(ram / "disk.img", 2048)
    assert main(["restore", str(ram / "disk.dump"), str(path)]) == 0
    assert "No problems found" in tool("sgdisk", "--verify", path)
    assert tool("cgpt", "show", "-i", 3, "-l", path) == "USR-A\n"
    capfd.readouterr()
    assert main(["dump", str(path)]) == 0
    assert capfd.readouterr().out == TEXT.replace("\n\n# a comment", "")


@pytest.mark.parametrize("name", GEOMETRIES)
def test_a_restored_disk_has_the_very_same_bytes(ram: Path, name: str) -> None:
    gpt = replace(GEOMETRIES[name], boot_code=b"\xeb\x63 boot code \0\1")
    path, copy, text = ram / "disk.img", ram / "copy.img", ram / "disk.dump"
    path.write_bytes(gpt.image())
    text.write_text(dump(path))
    wiped = bytearray(gpt.image())
    for start, end in ((0, gpt.primary_entries + gpt.array_sectors), (gpt.backup_entries, gpt.sectors)):
        wiped[start * gpt.sector_size : end * gpt.sector_size] = bytes((end - start) * gpt.sector_size)
    copy.write_bytes(wiped)
    assert main(["restore", str(text), str(copy)]) == 0
    assert copy.read_bytes() == path.read_bytes()
    assert main(["diff", str(text), str(copy)]) == 0


NAMES = st.text(st.characters(exclude_categories=[]), max_size=18).map(lambda text: text.rstrip("\0"))


@examples(150)
@given(
    partitions=partition_sets(),
    names=st.lists(NAMES, min_size=6, max_size=6),
    code=st.binary(max_size=440),
    rest=st.none() | st.binary(min_size=72, max_size=72),
)
def test_any_table_survives_its_text(
    partitions: dict[int, Partition], names: list[str], code: bytes, rest: bytes | None
) -> None:
    partitions = {n: p._replace(name=name) for (n, p), name in zip(partitions.items(), names, strict=False)}
    table = table_of(partitions)
    mbr = code.ljust(440, b"\0") + (rest or bytes(72))
    text = dump_text(Dump(table, mbr))
    assert parse_dump(text) == Dump(table, mbr)
    assert text.replace("\n", "").isprintable()


def test_what_damage_left_in_entries_survives_too(ram: Path) -> None:
    """A partition that ends before it starts, an unused entry with something in it, vendor data behind the fields."""
    gpt = Gpt(entry_size=256, entries={2: Entry(300, 100, "reversed", tail=b"vendor"), 9: Entry(100, 299)})
    image = gpt.image()
    entry = 2 * 512 + 4 * 256
    image[entry + 20 : entry + 24] = b"junk"
    path = ram / "disk.img"
    path.write_bytes(image)
    with Disk.open(path, write=True) as disk:
        table = disk.table()
        entries = type(table.entries)(bytes(image[1024 : 1024 + len(table.entries)]), 256)
        table = table._replace(entries=entries)
    text = dump_text(Dump(table, bytes(512)))
    assert "unused number=5 bytes=" in text
    assert f"tail={b'vendor'.hex()}" in text
    assert "size=-199" in text
    assert parse_dump(text).table == table


WRONG = {
    "something else": ("Disk: 5", "line 1: it does not start with '# gptctl dump 1'"),
    "nothing": ("", "line 1"),
    "an unknown line": (TEXT + "slot number=3", "line 10: a 'slot' line is not expected here"),
    "a second disk line": (TEXT + TEXT.splitlines()[1], "line 10: a 'disk' line is not expected here"),
    "no header line": (TEXT.replace("header", "# header"), "there is no 'header' line"),
    "a missing field": (TEXT.replace("tries=0 ", ""), "line 9: tries is missing"),
    "no number": (TEXT.replace("start=64", "start=x"), "line 9: invalid literal"),
    "an impossible priority": (
        TEXT.replace("priority=1", "priority=16"),
        "priority is 16; it must be between 0 and 15",
    ),
    "an unknown type": (TEXT.replace("coreos-usr", "nonsense"), "'nonsense' is neither a partition type"),
    "two partitions of one number": (TEXT + TEXT.splitlines()[-1], "line 10: there are two entries 3"),
    "an entry that does not fit": (TEXT.replace("number=3", "number=129"), "entry 129 does not fit into 128 entries"),
    "a label without quotes": (TEXT.replace('"USR-A"', "USR-A"), "USR-A is not text in double quotes"),
    "a label with a stray backslash": (TEXT.replace("USR-A", "USR\\A"), r"is not text in double quotes"),
    "a label that is too long": (TEXT.replace("USR-A", "x" * 37), "at most 36 fit"),
    "a field twice": (TEXT.replace("start=64", "start=64 start=65"), "is not understood"),
    "a sector size": (TEXT.replace("sector-size=512", "sector-size=520"), "sector-size is 520, not 512 or 4096"),
    "entries": (TEXT.replace("count=128", "count=0"), "0 entries of 128 bytes are not allowed"),
    "many entries": (TEXT.replace("count=128", "count=99999999999"), "are not allowed"),
    "a header size": (TEXT.replace("size=92", "size=91"), "the header size cannot be 91"),
    "a number of 65 bits": (TEXT.replace("backup=2047", f"backup={1 << 64}"), "the backup lba cannot be"),
    "an mbr": (TEXT.replace("mbr", "mbr rest=00"), "the MBR has not 512 bytes"),
    "hex": (TEXT.replace("mbr", "mbr code=0g"), "non-hexadecimal number"),
}


def test_a_surrogate_without_its_other_half_survives_at_the_very_end_of_a_name(ram: Path) -> None:
    """36 UTF-16 units, the last of which opens a pair that nothing closes."""
    path, copy, text = ram / "disk.img", ram / "copy.img", ram / "disk.dump"
    path.write_bytes(Gpt(entries={1: Entry(100, 199, "x" * 35 + "\ud83d", 1)}).image())
    text.write_text(dump(path))
    blank(copy, 2048)
    assert main(["restore", str(text), str(copy)]) == 0
    assert copy.read_bytes()[512 : 34 * 512] == path.read_bytes()[512 : 34 * 512]
    assert main(["add", "-i", "1", "-t", "efi", str(path)]) == 0
    with Disk.open(path) as disk:
        assert disk.table().partition(1).name == "x" * 35 + "\ud83d"


def test_a_pipe_is_read_once(ram: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, fifo = ram / "disk.img", ram / "fifo"
    path.write_bytes(Gpt().image())
    os.mkfifo(fifo)
    text = dump(path)
    for words in (["diff", fifo, path], ["diff", path, fifo], ["restore", fifo, path]):
        writer = threading.Thread(target=fifo.write_text, args=(text,))
        writer.start()
        assert main([str(word) for word in words]) == 0
        writer.join()
    assert capfd.readouterr() == ("", "")


def test_what_is_no_dump_is_not_read_to_its_end(ram: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As when the two arguments of restore change places: 64 GiB of nothing would not fit into memory."""
    path = ram / "disk.img"
    with path.open("wb") as file:
        file.truncate(64 << 30)
    assert main(["restore", str(path), str(path)]) == 1
    assert "line 1: it does not start with '# gptctl dump 1'" in capfd.readouterr().err


def test_a_dump_of_an_illegal_table_is_restored_with_a_word_about_it(
    ram: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path, text = ram / "disk.img", ram / "disk.dump"
    path.write_bytes(Gpt(entries={1: Entry(100, 300), 2: Entry(200, 400)}).image())
    text.write_text(dump(path))
    assert main(["restore", str(text), str(blank(ram / "copy.img", 2048))]) == 0
    message = "table: partition 2 (sectors 200 to 400) overlaps partition 1"
    assert capfd.readouterr().err == f"ERROR: {ram / 'copy.img'}: {message}\n"
    assert main(["show", str(path)]) == 0
    assert capfd.readouterr().err == f"ERROR: {path}: {message}\n"


@pytest.mark.parametrize("name", WRONG)
def test_a_text_that_is_no_dump_is_refused_with_its_line(
    ram: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    text, message = WRONG[name]
    with pytest.raises(DumpError) as caught:
        parse_dump(text, "disk.dump")
    assert message in str(caught.value)
    assert str(caught.value).endswith("; expected the output of 'gptctl dump'")
    path, dump_file = blank(ram / "disk.img", 2048), ram / "disk.dump"
    dump_file.write_text(text)
    capfd.readouterr()
    assert main(["restore", str(dump_file), str(path)]) == 1
    assert capfd.readouterr().err.count("\n") == 1
    assert not any(path.read_bytes())


@pytest.mark.slow
@examples(300)
@given(data=st.data())
def test_no_text_makes_the_reader_stumble(data: st.DataObject) -> None:
    words = TEXT.split(" ")
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(words) - 1))
        words[place] = data.draw(st.text(max_size=12) | st.sampled_from(words))
    try:
        parse_dump(" ".join(words))
    except DumpError as error:
        assert "\n" not in str(error).replace("\\n", "")


def test_a_file_that_is_not_text_or_not_there_is_refused(ram: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = blank(ram / "disk.img", 2048)
    (ram / "binary").write_bytes(MAGIC.encode() + b"\n\xff\xfe")
    for name, message in (("binary", "it is not text in UTF-8"), ("missing", "cannot be read: No such file")):
        assert main(["restore", str(ram / name), str(path)]) == 1
        assert message in capfd.readouterr().err


def test_a_dump_for_a_disk_of_another_size_needs_to_be_fitted(ram: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (ram / "disk.dump").write_text(TEXT)
    path = blank(ram / "disk.img", 4096)
    assert main(["restore", str(ram / "disk.dump"), str(path)]) == 1
    assert "it has 4096 sectors of 512 bytes, the dump is for 2048 of 512; --fit moves" in capfd.readouterr().err
    assert main(["restore", "--fit", str(ram / "disk.dump"), str(path)]) == 0
    assert "No problems found" in tool("sgdisk", "--verify", path)
    with Disk.open(path) as disk:
        assert disk.read().findings == ()


def test_the_boot_code_of_the_disk_can_be_kept(ram: Path) -> None:
    (ram / "disk.dump").write_text(TEXT)
    path = blank(ram / "disk.img", 2048)
    for option, expected in (([], 0), (["-k"], 7)):
        path.write_bytes(b"\7" * 440 + bytes(2048 * 512 - 440))
        assert main(["restore", *option, str(ram / "disk.dump"), str(path)]) == 0
        assert set(path.read_bytes()[:440]) == {expected}


def test_the_same_table_is_restored_without_a_write(ram: Path) -> None:
    path = ram / "disk.img"
    path.write_bytes(Gpt().image())
    text = parse_dump(dump(path))
    with Disk.open(path, write=True) as disk:
        assert disk.create(text.table, mbr=text.mbr) == []


def test_diff_shows_what_changed_and_nothing_else(ram: Path, capfd: pytest.CaptureFixture[str]) -> None:
    one, other = ram / "one.img", ram / "other.img"
    with Disk.open(blank(one, 4096), write=True) as disk:
        disk.create(Table.new(total_sectors=4096))
    other.write_bytes(one.read_bytes())
    assert main(["diff", str(one), str(other)]) == 0
    assert capfd.readouterr().out == ""
    assert main(["add", "-i", "3", "-b", "64", "-s", "8", "-t", "efi", "-l", "EFI", str(other)]) == 0
    assert main(["diff", str(one), str(other)]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert lines[:2] == [f"--- {one}", f"+++ {other}"]
    assert len(lines) == 3
    assert lines[2].startswith('+partition number=3 start=64 size=8 label="EFI" type=esp guid=')


@pytest.mark.parametrize("words", [["diff", "a"], ["diff", "missing", "missing"], ["diff", "empty.img", "empty.img"]])
def test_a_diff_that_cannot_be_made_exits_with_2(
    ram: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.chdir(ram)
    blank(ram / "empty.img")
    assert main(words) == 2
    assert capfd.readouterr().err.count("\n") == 1
