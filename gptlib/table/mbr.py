"""What the master boot record says, and the protective MBR that goes with a GPT (UEFI 2.10 section 5.2)."""

from __future__ import annotations

from struct import Struct

from gptlib.layout.compiled import (
    MBR_FORMAT,
    MBR_RECORD_FORMAT,
    MBR_RECORD_SIZE,
    MBR_SIZE,
    MbrBytes,
    MbrFields,
    MbrRecordBytes,
    MbrRecordFields,
)

_MBR, _RECORD = Struct(MBR_FORMAT), Struct(MBR_RECORD_FORMAT)
SIGNATURE = 0xAA55
PROTECTIVE_TYPE = 0xEE
BOOT_GUID_MARK = b"\x1d\x9a"
"""In the field of unknown use: a boot GUID is meant (syslinux, mbr/gptmbr)."""
ABSENT, PROTECTIVE, HYBRID, FOREIGN = "absent", "protective", "hybrid", "foreign"
_MAX_SECTORS = 0xFFFFFFFF
_RECORDS = (MbrBytes.partition_records.stop - MbrBytes.partition_records.start) // MBR_RECORD_SIZE


_FILE_SYSTEMS = ((3, b"NTFS    "), (3, b"EXFAT   "), (54, b"FAT"), (82, b"FAT32"))
"""Where the boot sector of a file system that was made on the whole disk has its name; it ends in 0xAA55 too."""


class MbrRecord(MbrRecordFields):
    """One of the four partition records of an MBR."""


def has_signature(block: bytes) -> bool:
    """Whether the first 512 bytes of a disk end in 0xAA55, as an MBR and the boot sectors of file systems do."""
    return int.from_bytes(block[MbrBytes.signature], "little") == SIGNATURE


def decode_records(block: bytes) -> list[MbrRecord]:
    """The four partition records of the first 512 bytes of a disk, whatever they hold."""
    records = block[MbrBytes.partition_records]
    return [MbrRecord._make(fields) for fields in _RECORD.iter_unpack(records)]


def _types(block: bytes) -> bytes:
    """The types of the four partition records, 0 for an unused one; none where there is no MBR."""
    if not has_signature(block):
        return b""
    return block[MbrBytes.partition_records][MbrRecordBytes.os_type.start :: MBR_RECORD_SIZE]


def classify(block: bytes) -> str:
    """What the first 512 bytes of a disk are.

    ``absent`` (no signature 0xAA55, or no records), ``protective``, ``hybrid`` (0xEE beside others) or ``foreign`` (no 0xEE,
    or the boot sector of a file system).
    """
    types = set(_types(block)) - {0}
    if PROTECTIVE_TYPE not in types:
        file_system = has_signature(block) and any(block.startswith(name, at) for at, name in _FILE_SYSTEMS)
        return FOREIGN if types or file_system else ABSENT
    return PROTECTIVE if types == {PROTECTIVE_TYPE} else HYBRID


def protected_sectors(block: bytes) -> int:
    """What the protective record of an MBR that is ``protective`` or ``hybrid`` gives as its size."""
    return decode_records(block)[_types(block).index(PROTECTIVE_TYPE)].size_in_lba


def protective_size(total_sectors: int) -> int:
    """Size field of the protective record: all sectors after block 0, or 0xFFFFFFFF when they do not fit."""
    return min(total_sectors - 1, _MAX_SECTORS)


def protective_mbr(block: bytes, total_sectors: int) -> bytes:
    """A protective MBR of 512 bytes for a disk of ``total_sectors``; boot code and disk signature of ``block`` stay.

    So does what an MBR that is ``protective`` already has beside the end of the disk: the boot indicator (parted's
    ``pmbr_boot``: a BIOS that wants an active partition starts the boot code for it), the start in CHS, the place of the
    record among the four, and whatever stands in the unused ones.
    """
    mbr = MbrFields._make(_MBR.unpack_from(block.ljust(MBR_SIZE, b"\0")))
    # CHS 0/0/2 up to the end, or FF FF FF where CHS cannot express it: UEFI 2.10 table 5.4.
    record = MbrRecord(
        boot_indicator=0,
        starting_chs=b"\x00\x02\x00",
        os_type=PROTECTIVE_TYPE,
        ending_chs=_ending_chs(total_sectors),
        starting_lba=1,
        size_in_lba=protective_size(total_sectors),
    )
    records, number = [bytes(MBR_RECORD_SIZE)] * _RECORDS, 0
    if classify(block) == PROTECTIVE:
        number = _types(block).index(PROTECTIVE_TYPE)
        old = decode_records(block)
        records = [_RECORD.pack(*one) for one in old]
        record = record._replace(boot_indicator=old[number].boot_indicator, starting_chs=old[number].starting_chs)
    records[number] = _RECORD.pack(*record)
    return _MBR.pack(*mbr._replace(partition_records=b"".join(records), signature=SIGNATURE))


def _ending_chs(total_sectors: int) -> bytes:
    """CHS of the last sector for 255 heads and 63 sectors a track."""
    track, sector = divmod(total_sectors - 1, 63)
    cylinder, head = divmod(track, 255)
    if cylinder > 1023:
        return b"\xff\xff\xff"
    return bytes((head, cylinder >> 2 & 0xC0 | sector + 1, cylinder & 0xFF))
