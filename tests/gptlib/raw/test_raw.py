"""``gptctl dump --raw``: every field at its byte, with what it means, of whole and of damaged disks."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import uuid
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptlib.raw.output import raw_json, raw_text
from gptlib.raw.parts import parts_of
from gptlib.read.sectors import SectorCache
from gptlib.read.state import examine
from tests.gptlib.fuzz.memory import MemoryDisk
from tests.gptlib.handmade import DISK, USR, Entry, Gpt, resigned, zeroed
from tests.gptlib.readers import run
from tests.gptlib.tables import examples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Gptctl = Callable[..., tuple[int, str, str]]

# UEFI 2.10 tables 5.5, 5.6, 5.1 and 5.2: field, offset and size in bytes.
HEADER = (
    ("signature", 0, 8),
    ("revision", 8, 4),
    ("header_size", 12, 4),
    ("header_crc32", 16, 4),
    ("reserved", 20, 4),
    ("my_lba", 24, 8),
    ("alternate_lba", 32, 8),
    ("first_usable_lba", 40, 8),
    ("last_usable_lba", 48, 8),
    ("disk_guid", 56, 16),
    ("partition_entry_lba", 72, 8),
    ("number_of_partition_entries", 80, 4),
    ("size_of_partition_entry", 84, 4),
    ("partition_entry_array_crc32", 88, 4),
)
ENTRY = (
    ("partition_type_guid", 0, 16),
    ("unique_partition_guid", 16, 16),
    ("starting_lba", 32, 8),
    ("ending_lba", 40, 8),
    ("attributes", 48, 8),
    ("partition_name", 56, 72),
)
MBR = (
    ("code", 0, 424),
    ("boot_guid", 424, 16),
    ("unique_mbr_disk_signature", 440, 4),
    ("unknown", 444, 2),
    ("signature", 510, 2),
)
RECORD = (
    ("boot_indicator", 0, 1),
    ("starting_chs", 1, 3),
    ("os_type", 4, 1),
    ("ending_chs", 5, 3),
    ("starting_lba", 8, 4),
    ("size_in_lba", 12, 4),
)
A, B = uuid.UUID("aaaaaaaa-0000-4000-8000-00000000000a"), uuid.UUID("bbbbbbbb-0000-1000-8000-00000000000b")
ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
ENTRIES = {
    1: Entry(100, 163, "EFI", 0b101, kind=ESP, guid=B),
    3: Entry(200, 299, "USR-A", 0x0123 << 48 | 1 << 60 | 1 << 40, guid=A),
}
GEOMETRIES = [(512, 2048), (4096, 512)]


def dumped(gptctl: Gptctl, path: Path, code: int = 0) -> dict[str, Any]:
    """What --json says, by the name of the part."""
    status, text, _ = gptctl("dump", "--raw", "--json", path)
    assert status == code
    parts = json.loads(text)["parts"]
    assert len({part["name"] for part in parts}) == len(parts)
    return {part["name"]: part for part in parts}


def field(part: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [one for one in part["fields"] if one["name"] == name]
    return dict(found)


def meaning(part: dict[str, Any], name: str) -> tuple[int | str, str, bool]:
    found = field(part, name)
    return found["value"], found["meaning"], found["valid"]


def wrong(parts: dict[str, Any]) -> set[str]:
    return {f"{name}: {one['name']}" for name, part in parts.items() for one in part["fields"] if not one["valid"]}


@pytest.fixture(params=GEOMETRIES, ids=["512", "4096"])
def gpt(request: pytest.FixtureRequest) -> Gpt:
    size, sectors = request.param
    return Gpt(sectors=sectors, sector_size=size, entries=ENTRIES)


def test_every_field_stands_at_the_byte_of_the_specification(gptctl: Gptctl, ram: Path, gpt: Gpt) -> None:
    path, image, size = ram / "disk.img", bytes(gpt.image()), gpt.sector_size
    path.write_bytes(image)
    parts = dumped(gptctl, path)
    expected = {
        "mbr": (0, MBR),
        **{f"mbr record {n}": (446 + 16 * (n - 1), RECORD) for n in range(1, 5)},
        "primary header": (size, HEADER),
        "primary entries": (2 * size, ()),
        "primary entry 1": (2 * size, ENTRY),
        "primary entry 3": (2 * size + 256, ENTRY),
        "backup header": (gpt.backup * size, HEADER),
        "backup entries": (gpt.backup_entries * size, ()),
    }
    assert {name: part["offset"] for name, part in parts.items()} == {name: at for name, (at, _) in expected.items()}
    for name, (start, layout) in expected.items():
        found = [(one["name"], one["offset"], one["bytes"]) for one in parts[name]["fields"]]
        assert found == [(what, start + at, image[start + at :][:length].hex()) for what, at, length in layout], name
    assert not wrong(parts)
    assert not [part for part in parts.values() if part["problems"]]


def test_the_words_say_what_the_values_mean(gptctl: Gptctl, ram: Path) -> None:
    gpt, path = Gpt(entries=ENTRIES), ram / "disk.img"
    image = bytes(gpt.image())
    path.write_bytes(image)
    parts = dumped(gptctl, path)
    header, backup = parts["primary header"], parts["backup header"]
    (crc, array_crc) = (struct.unpack_from("<L", image, 512 + at)[0] for at in (16, 88))
    assert meaning(header, "signature") == ("EFI PART", "a GPT header", True)
    assert meaning(header, "revision") == ("0x00010000", "revision 1.0", True)
    assert meaning(header, "header_size") == (92, "bytes", True)
    said = "ok: the CRC of the first 92 bytes with this field zeroed"
    assert meaning(header, "header_crc32") == (f"{crc:#010x}", said, True)
    assert meaning(header, "alternate_lba") == (2047, "byte 1048064", True)
    assert meaning(header, "disk_guid")[0] == str(DISK).upper()
    assert meaning(header, "partition_entry_lba") == (2, "byte 1024; entries in sectors 2 to 33", True)
    assert meaning(header, "partition_entry_array_crc32") == (f"{array_crc:#010x}", "ok: the CRC of the entries", True)
    assert array_crc == zlib.crc32(image[1024 : 1024 + 16384])
    assert meaning(backup, "my_lba") == (2047, "byte 1048064", True)
    slot, efi = parts["primary entry 3"], parts["primary entry 1"]
    assert meaning(slot, "partition_type_guid")[0] == str(USR).upper()
    assert meaning(slot, "partition_type_guid")[1].startswith("coreos-usr")
    assert meaning(efi, "partition_type_guid") == (str(ESP).upper(), "esp: EFI System Partition", True)
    assert meaning(slot, "unique_partition_guid") == (str(A).upper(), "version 4: random", True)
    assert meaning(efi, "unique_partition_guid")[1] == "version 1: from time and MAC address"
    assert meaning(slot, "starting_lba") == (200, "byte 102400", True)
    assert meaning(slot, "ending_lba") == (299, "byte 153088; 100 sectors, 50 KiB", True)
    words = "priority=3 tries=2 successful=1, read-only, bit 40"
    assert meaning(slot, "attributes") == ("0x1123010000000000", words, True)
    words = "required by the platform, legacy BIOS bootable"
    assert meaning(efi, "attributes") == ("0x0000000000000005", words, True)
    assert meaning(slot, "partition_name") == ("USR-A", "5 of 36 UTF-16 units", True)
    record = parts["mbr record 1"]
    assert meaning(record, "os_type") == ("0xee", "protects a GPT", True)
    assert meaning(record, "starting_chs") == ("000200", "cylinder 0, head 0, sector 2", True)
    assert meaning(record, "size_in_lba")[1] == "the largest number: as far as the disk goes"
    assert meaning(parts["mbr"], "signature") == ("0xaa55", "an MBR", True)
    assert "protective" in parts["mbr"]["summary"]


def test_the_values_of_a_disk_of_sgdisk_are_those_that_it_tells(gptctl: Gptctl, ram: Path) -> None:
    path = ram / "disk.img"
    path.write_bytes(bytes(8 << 20))
    words = ["-n", "2:4096:8191", "-t", "2:8300", "-c", "2:Linux data", "-A", "2:set:2", "-A", "2:set:60"]
    assert run("sgdisk", *words, path).returncode == 0
    told = run("sgdisk", "-i", "2", path).stdout
    parts = dumped(gptctl, path)
    entry = parts["primary entry 2"]
    for name, pattern in (
        ("partition_type_guid", r"Partition GUID code: (\S+)"),
        ("unique_partition_guid", r"Partition unique GUID: (\S+)"),
        ("partition_name", r"Partition name: '(.*)'"),
    ):
        (value,) = re.findall(pattern, told)
        assert field(entry, name)["value"] == value
    assert f"First sector: {field(entry, 'starting_lba')['value']} " in told
    assert f"Last sector: {field(entry, 'ending_lba')['value']} " in told
    (flags,) = re.findall(r"Attribute flags: (\S+)", told)
    assert meaning(entry, "attributes") == (f"0x{flags.lower()}", "legacy BIOS bootable, read-only", True)
    (guid,) = re.findall(r"Disk identifier \(GUID\): (\S+)", run("sgdisk", "-p", path).stdout)
    assert field(parts["primary header"], "disk_guid")["value"] == guid
    assert meaning(parts["mbr record 1"], "size_in_lba") == (16383, "the whole disk behind sector 0", True)
    assert not wrong(parts)


def test_the_text_has_the_bytes_of_the_file_at_their_offsets(gptctl: Gptctl, ram: Path, gpt: Gpt) -> None:
    path, image = ram / "disk.img", bytes(gpt.image())
    path.write_bytes(image)
    code, text, error = gptctl("dump", "-r", path)
    assert (code, error) == (0, "")
    seen = 0
    for line in text.splitlines():
        row = re.match(r"[ !] ([0-9a-f]{8})  (?:(\d+) zero bytes|([0-9a-f]+))(?: |$)", line)
        if row is None:
            assert re.match(r"$|\S", line), line
            continue
        offset, data = int(row[1], 16), bytes(int(row[2])) if row[2] else bytes.fromhex(row[3])
        assert image[offset : offset + len(data)] == data
        seen += len(data)
    # The MBR, two headers and two entries: each byte once.
    assert seen == 512 + 2 * 92 + 2 * 128
    assert re.search(
        r"^  [0-9a-f]{8}  [0-9a-f]{32}  disk_guid +01234567-89AB-CDEF-0123-456789ABCDEF  ", text, re.MULTILINE
    )
    assert '  partition_name               "USR-A"  5 of 36 UTF-16 units\n' in text


def test_a_wrong_crc_is_shown_with_the_one_that_is_expected(gptctl: Gptctl, ram: Path) -> None:
    path, image = ram / "disk.img", Gpt(entries=ENTRIES).image()
    image[512 + 40] ^= 0x40
    image[1024 + 56] ^= 1
    path.write_bytes(image)
    header = bytes(image[512 : 512 + 92])
    expected = zlib.crc32(header[:16] + bytes(4) + header[20:])
    parts = dumped(gptctl, path)
    assert wrong(parts) == {"primary header: header_crc32", "primary header: partition_entry_array_crc32"}
    primary = parts["primary header"]
    assert f"wrong: expected {expected:#010x}" in field(primary, "header_crc32")["meaning"]
    expected = zlib.crc32(image[1024 : 1024 + 16384])
    assert f"wrong: expected {expected:#010x}" in field(primary, "partition_entry_array_crc32")["meaning"]
    assert "INVALID" in primary["summary"]
    # The arrays differ: both are shown.
    assert field(parts["primary entry 1"], "partition_name")["value"] == "DFI"
    assert field(parts["backup entry 1"], "partition_name")["value"] == "EFI"
    text = gptctl("dump", "--raw", path)[1]
    assert re.search(r"^! 00000210  [0-9a-f]{8} +header_crc32 .* wrong: expected 0x", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("revision", 0x00020000, "revision 2.0; expected 1.0"),
        ("my_lba", 5, "byte 2560; wrong: this is sector 1"),
        ("alternate_lba", 1, "byte 512; wrong: that is this header itself"),
        ("alternate_lba", 9999, "outside the disk of 2048 sectors"),
        ("last_usable_lba", 20, "byte 10240; it would end before it starts"),
        ("entries_lba", 1, "byte 512; entries in sectors 1 to 32; wrong: expected sectors from 2 to 2047"),
        ("entries_lba", 1 << 60, "outside the disk of 2048 sectors; entries in sectors 1152921504606846976 to"),
        ("entry_count", 0xFFFFFFFF, ""),
    ],
)
def test_a_field_that_cannot_be_is_shown_with_what_is_wrong(
    gptctl: Gptctl, ram: Path, name: str, value: int, words: str
) -> None:
    path = ram / "disk.img"
    path.write_bytes(resigned(Gpt(entries=ENTRIES).image(), 1, name, value))
    parts = dumped(gptctl, path)
    uefi = {"entries_lba": "partition_entry_lba", "entry_count": "number_of_partition_entries"}.get(name, name)
    found = field(parts["primary header"], uefi)
    shown = f"{value:#010x}" if name == "revision" else value
    assert found["value"] == shown
    assert words in found["meaning"]
    assert found["valid"] == (not words)
    assert parts["backup header"]["problems"] == []
    if name == "entry_count":
        assert parts["primary entries"]["problems"] == ["4294967295 entries of 128 bytes are not plausible"]


def test_the_backup_is_shown_where_the_primary_names_it_and_at_the_end(gptctl: Gptctl, ram: Path, gpt: Gpt) -> None:
    path, size = ram / "disk.img", gpt.sector_size
    path.write_bytes(bytes(gpt.image()) + bytes(100 * size))
    parts = dumped(gptctl, path)
    assert parts["backup header"]["offset"] == gpt.backup * size
    assert "where the primary says that it is: valid" in parts["backup header"]["summary"]
    end = parts["backup at the end header"]
    assert (end["sector"], end["fields"]) == (gpt.sectors + 99, [])
    assert end["problems"][-1] == "all of its bytes are zero"


def test_a_lost_header_does_not_hide_its_entries(gptctl: Gptctl, ram: Path, gpt: Gpt) -> None:
    path, size = ram / "disk.img", gpt.sector_size
    path.write_bytes(zeroed(gpt.image(), 1, size=size))
    parts = dumped(gptctl, path)
    assert parts["primary header"]["problems"][-1] == "all of its bytes are zero"
    assert field(parts["primary entry 3"], "starting_lba")["offset"] == 2 * size + 256 + 32
    path.write_bytes(zeroed(gpt.image(), -1, size=size))
    parts = dumped(gptctl, path)
    assert parts["backup header"]["fields"] == []
    assert "the same bytes as those of the primary" in parts["backup entries"]["summary"]


def test_other_bytes_in_the_place_of_a_header_are_shown_by_its_fields(gptctl: Gptctl, ram: Path) -> None:
    path, image = ram / "disk.img", Gpt(entries=ENTRIES).image()
    image[512:1024] = b"\x1b[2JBOOT".ljust(512, b"\xff")
    path.write_bytes(image)
    found = dumped(gptctl, path)["primary header"]
    assert meaning(found, "signature") == ("\x1b[2JBOOT", "not a GPT header: expected 'EFI PART'", False)
    assert (found["fields"][-1]["name"], len(found["fields"][-1]["bytes"])) == ("rest", 2 * 420)
    text = gptctl("dump", "--raw", path)[1]
    assert r'signature                    "\x1b[2JBOOT"  not a GPT header' in text


def test_without_a_table_what_is_there_is_shown_and_the_refusal_is_that_of_show(gptctl: Gptctl, ram: Path) -> None:
    path = ram / "disk.img"
    path.write_bytes(bytes(1 << 20))
    code, text, error = gptctl("dump", "--raw", path)
    assert (code, error) == (1, gptctl("show", path)[2])
    assert "no GUID partition table" in error
    assert re.search(r"^MBR: absent ", text, re.MULTILINE)
    assert re.search(r"^! 000001fe  0000 +signature +0x0000  wrong: expected 0xaa55$", text, re.MULTILINE)
    image = Gpt(entries=ENTRIES).image()
    for at in (512 + 50, 2047 * 512 + 50):
        image[at] ^= 0xFF
    path.write_bytes(image)
    code, text, error = gptctl("dump", "--raw", path)
    assert (code, error) == (1, gptctl("show", path)[2])
    assert text.count("header_crc32 ") == 2
    parts = dumped(gptctl, path, 1)
    assert {"primary header: header_crc32", "backup header: header_crc32"} <= wrong(parts)
    assert "primary entry 3" in parts


def test_an_absent_mbr_is_named(gptctl: Gptctl, ram: Path) -> None:
    path = ram / "disk.img"
    path.write_bytes(zeroed(Gpt(entries=ENTRIES).image(), 0))
    parts = dumped(gptctl, path)
    assert parts["mbr"]["summary"] == "MBR: absent"
    assert parts["mbr"]["problems"] == [
        "there is no protective MBR: the firmware and the kernel may not see this table"
    ]
    assert wrong(parts) == {"mbr: signature"}


def test_what_the_mbr_says_is_told_in_words(gptctl: Gptctl, ram: Path) -> None:
    records = bytes.fromhex("80fefffff0feffff00080000ffffff00") + bytes.fromhex("070002000cfeffff0100000010000000")
    gpt = Gpt(entries=ENTRIES, mbr_records=records.ljust(64, b"\0"))
    image = gpt.image()
    image[:4], image[424:440], image[440:446] = b"code", A.bytes_le, b"\x78\x56\x34\x12\x1d\x9a"
    path = ram / "disk.img"
    path.write_bytes(image)
    parts = dumped(gptctl, path)
    assert meaning(parts["mbr"], "code") == ("4 bytes", "boot code", True)
    assert meaning(parts["mbr"], "boot_guid") == (str(A).upper(), "boot partition 3", True)
    assert meaning(parts["mbr"], "unique_mbr_disk_signature") == ("0x12345678", "", True)
    assert meaning(parts["mbr"], "unknown") == ("1d9a", "a boot GUID is meant (syslinux, ChromeOS)", True)
    assert meaning(parts["mbr record 1"], "boot_indicator") == ("0x80", "active", True)
    assert meaning(parts["mbr record 1"], "os_type") == ("0xf0", "a type of MBR partitions", True)
    assert meaning(parts["mbr record 1"], "size_in_lba") == (0xFFFFFF, "sectors", True)
    assert meaning(parts["mbr record 2"], "os_type") == ("0x0c", "FAT32", True)
    assert "mbr record 2: boot_indicator" in wrong(parts)


def test_entries_that_cannot_be_are_shown_with_what_is_wrong(gptctl: Gptctl, ram: Path) -> None:
    entries = {
        1: Entry(300, 200, "reversed"),
        2: Entry(10, 40, "before\0after"),
        5: Entry(50, 9000, "\ud800", tail=b"tail", kind=uuid.UUID(int=7)),
    }
    gpt, path = Gpt(entries=entries, count=8, entry_size=256), ram / "disk.img"
    image = gpt.image()
    image[1024 + 3 * 256 + 40] = 1
    path.write_bytes(image)
    parts = dumped(gptctl, path)
    assert meaning(parts["primary entry 1"], "ending_lba") == (
        200,
        "byte 102400; wrong: it ends before it starts",
        False,
    )
    usable = f"{2 + gpt.array_sectors} to {gpt.backup_entries - 1}"
    assert "primary entry 2: starting_lba" not in wrong(parts)
    assert meaning(parts["primary entry 2"], "partition_name") == (
        "before",
        "6 of 36 UTF-16 units; more stands behind the NUL: 'after'",
        True,
    )
    last = field(parts["primary entry 5"], "ending_lba")
    assert last["meaning"].startswith(f"outside the disk of 2048 sectors; wrong: usable are sectors {usable}")
    assert meaning(parts["primary entry 5"], "partition_type_guid")[1] == "a type that has no name here"
    assert meaning(parts["primary entry 5"], "partition_name")[0] == "\ud800"
    rest = field(parts["primary entry 5"], "rest")
    assert rest["bytes"] == b"tail".ljust(128, b"\0").hex()
    assert parts["primary entries"]["problems"] == ["entry 4 is unused, but its bytes are not all zero"]
    assert r'"\ud800"' in gptctl("dump", "--raw", path)[1]


def test_a_tiny_file_is_refused_and_shown(gptctl: Gptctl, ram: Path) -> None:
    path = ram / "disk.img"
    path.write_bytes(b"abc")
    code, text, error = gptctl("dump", "--raw", path)
    assert (code, error) == (1, gptctl("show", path)[2])
    assert "  ! it cannot be read\n" in text


def test_json_without_raw_is_wrong_usage(gptctl: Gptctl, path: Path) -> None:
    code, text, error = gptctl("dump", "--json", path)
    assert (code, text) == (2, "")
    assert "--json is for --raw" in error


def test_a_label_reaches_no_terminal_unescaped(gptctl: Gptctl, ram: Path) -> None:
    path = ram / "disk.img"
    path.write_bytes(Gpt(entries={1: Entry(100, 199, "\x1b[2J\n\u202e\x9b\0\x07")}).image())
    for words in (["--raw"], ["--raw", "--json"]):
        text = gptctl("dump", *words, path)[1]
        assert all(line.isprintable() for line in text.split("\n"))
    assert field(dumped(gptctl, path)["primary entry 1"], "partition_name")["value"] == "\x1b[2J\n\u202e\x9b"


@pytest.mark.parametrize(("words", "imported"), [(["dump"], False), (["show"], False), (["dump", "--raw"], True)])
def test_only_the_raw_form_imports_construct(path: Path, words: list[str], imported: bool) -> None:
    program = (
        "import sys; from gptlib.cli.main import main; code = main(sys.argv[1:]); "
        "sys.exit(code or 10 + ('construct' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program, *words, str(path)], capture_output=True)
    assert done.returncode == 10 + imported


@examples(100)
@given(data=st.data())
def test_whatever_stands_there_is_shown_and_every_byte_is_that_of_the_disk(data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([512, 4096]))
    image = Gpt(sectors=80, sector_size=size, entries={2: Entry(40, 41)}, count=8).image()
    end = data.draw(st.sampled_from([0, 3, 512, 1024, size * 3, size * 40, len(image)]))
    for _ in range(data.draw(st.integers(0, 12))):
        structure = data.draw(st.sampled_from([0, size, 2 * size, 78 * size, 79 * size]))
        at = structure + data.draw(st.integers(0, 511))
        image[at : at + 1] = data.draw(st.binary(min_size=1, max_size=1))
    image = image[:end]
    cache = SectorCache(MemoryDisk("disk", bytes(image)))
    found = examine(cache, None)
    parts = list(parts_of(cache, found))
    for part in parts:
        for one in part.fields:
            assert image[one.offset : one.offset + len(one.data)] == one.data, (part.name, one.name)
    assert all(line.isprintable() for line in raw_text(parts))
    assert json.loads(raw_json("disk", found, parts))["usable"] == (found.table is not None)
