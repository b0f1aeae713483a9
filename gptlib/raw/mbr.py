"""The MBR field by field, with its four partition records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gptlib.layout.compiled import MBR_SIZE, MbrBytes
from gptlib.layout.mbr import BOOT_CODE, MBR, MBR_RECORD
from gptlib.raw.values import Meaning, Part, fields_of
from gptlib.raw.words import guid_meaning, lba_meaning
from gptlib.table.mbr import BOOT_GUID_MARK, PROTECTIVE_TYPE, SIGNATURE, classify, protective_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from construct import Container

    from gptlib.raw.values import Field, Geometry

_TYPES = {
    0x00: "unused",
    0x05: "extended partition",
    0x07: "NTFS or exFAT",
    0x0B: "FAT32",
    0x0C: "FAT32",
    0x0E: "FAT16",
    0x82: "Linux swap",
    0x83: "Linux",
    PROTECTIVE_TYPE: "protects a GPT",
    0xEF: "EFI system partition",
}
_INDICATORS = {0x00: "not active", 0x80: "active"}
_NO_CHS = (b"\xff\xff\xff", b"\xfe\xff\xff")


def mbr_parts(block: bytes, disk: Geometry, names: Mapping[bytes, str], problems: Sequence[str]) -> Iterator[Part]:
    """The MBR in the first 512 bytes of a disk; ``names`` says what the partition with a unique GUID is."""
    if len(block) < MBR_SIZE:
        yield Part("mbr", 0, 0, MBR_SIZE, "MBR", problems=("it cannot be read",))
        return
    yield Part("mbr", 0, 0, MBR_SIZE, f"MBR: {classify(block)}", tuple(_mbr_fields(block, names)), tuple(problems))
    start, size = MbrBytes.partition_records.start, MBR_RECORD.sizeof()
    for number, offset in enumerate(range(start, MbrBytes.partition_records.stop, size), 1):
        data = block[offset : offset + size]
        record = MBR_RECORD.parse(data)
        fields = fields_of(MBR_RECORD, data, offset, _record_meanings(record, data, disk))
        words = _TYPES.get(record.os_type, "used")
        yield Part(f"mbr record {number}", 0, offset, size, f"partition record {number} of the MBR: {words}", fields)


def _mbr_fields(block: bytes, names: Mapping[bytes, str]) -> Iterator[Field]:
    mbr = MBR.parse(block)
    code = BOOT_CODE.parse(mbr.boot_code)
    used = len(code.code.rstrip(b"\0"))
    meanings = {
        "code": Meaning(f"{used} bytes", "boot code" if used else "no boot code"),
        "boot_guid": guid_meaning(code.boot_guid, _boot_guid_words(code.boot_guid, names)),
    }
    yield from fields_of(BOOT_CODE, mbr.boot_code, MbrBytes.boot_code.start, meanings)
    disk_signature = int.from_bytes(mbr.unique_mbr_disk_signature, "little")
    marked = mbr.unknown == BOOT_GUID_MARK
    is_mbr = mbr.signature == SIGNATURE
    meanings = {
        "boot_code": Meaning(""),
        "unique_mbr_disk_signature": Meaning(f"{disk_signature:#010x}", "" if disk_signature else "none"),
        "unknown": Meaning(mbr.unknown.hex(), "a boot GUID is meant (syslinux, ChromeOS)" if marked else ""),
        "partition_records": Meaning("4 records"),
        "signature": Meaning(
            f"{mbr.signature:#06x}", "an MBR" if is_mbr else f"wrong: expected {SIGNATURE:#06x}", valid=is_mbr
        ),
    }
    yield from (field for field in fields_of(MBR, block, 0, meanings) if field.name in _SHOWN)


_SHOWN = ("unique_mbr_disk_signature", "unknown", "signature")
"""The boot code and the records are shown by their own fields."""


def _boot_guid_words(guid: bytes, names: Mapping[bytes, str]) -> str:
    if not any(guid):
        return "none"
    return f"boot {names[guid]}" if guid in names else "boots no partition of this table"


def _record_meanings(record: Container[Any], data: bytes, disk: Geometry) -> dict[str, Meaning]:
    is_used = any(data)
    indicator = _INDICATORS.get(record.boot_indicator)
    meanings = {
        "boot_indicator": Meaning(
            f"{record.boot_indicator:#04x}", indicator or "wrong: expected 0x00 or 0x80", valid=indicator is not None
        ),
        "starting_chs": _chs_meaning(record.starting_chs),
        "os_type": Meaning(f"{record.os_type:#04x}", _TYPES.get(record.os_type, "a type of MBR partitions")),
        "ending_chs": _chs_meaning(record.ending_chs),
        "starting_lba": lba_meaning(record.starting_lba, disk),
        "size_in_lba": Meaning(record.size_in_lba, "sectors" if is_used else ""),
    }
    if record.os_type == PROTECTIVE_TYPE:
        meanings["size_in_lba"] = _protected_meaning(record, disk)
    return meanings


def _protected_meaning(record: Container[Any], disk: Geometry) -> Meaning:
    expected = protective_size(disk.sectors)
    if record.size_in_lba == expected:
        return Meaning(record.size_in_lba, "the whole disk behind sector 0")
    if record.size_in_lba == protective_size(1 << 64):
        return Meaning(record.size_in_lba, "the largest number: as far as the disk goes")
    return Meaning(record.size_in_lba, f"expected {expected}: the whole disk behind sector 0", valid=False)


def _chs_meaning(data: bytes) -> Meaning:
    if data in _NO_CHS:
        return Meaning(data.hex(), "beyond what CHS can express")
    head, low, high = data
    return Meaning(data.hex(), f"cylinder {(low & 0xC0) << 2 | high}, head {head}, sector {low & 0x3F}")
