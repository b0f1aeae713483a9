"""What the master boot record says, and the protective MBR that goes with a GPT (UEFI 2.10 section 5.2)."""

from __future__ import annotations

from struct import Struct

from gptlib._record import Record
from gptlib.layout.compiled import MBR_FORMAT, RECORD_FORMAT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_MBR, _RECORD = Struct(MBR_FORMAT), Struct(RECORD_FORMAT)
MBR_BYTES = _MBR.size
SIGNATURE = 0xAA55
PROTECTIVE_TYPE = 0xEE
ABSENT, PROTECTIVE, HYBRID, FOREIGN = "absent", "protective", "hybrid", "foreign"
_MAX_SECTORS = 0xFFFFFFFF
_RECORDS_AT = 446


class MbrRecord(Record):
    """One of the four partition records of an MBR."""

    boot_indicator: int
    starting_chs: bytes
    os_type: int
    ending_chs: bytes
    starting_lba: int
    size_in_lba: int


def decode_records(block: bytes) -> tuple[MbrRecord, ...]:
    """The used records of the first 512 bytes of a disk; none when the signature 0xAA55 is missing."""
    if len(block) < MBR_BYTES:
        return ()
    *_, records, signature = _MBR.unpack_from(block)
    if signature != SIGNATURE:
        return ()
    return tuple(MbrRecord(*fields) for fields in _RECORD.iter_unpack(records) if fields[2])


def classify(records: Iterable[MbrRecord]) -> str:
    """``absent`` (no records), ``protective``, ``hybrid`` (0xEE beside others) or ``foreign`` (no 0xEE)."""
    types = {record.os_type for record in records}
    if not types:
        return ABSENT
    if PROTECTIVE_TYPE not in types:
        return FOREIGN
    return PROTECTIVE if types == {PROTECTIVE_TYPE} else HYBRID


def protective_size(total_sectors: int) -> int:
    """Size field of the protective record: all sectors after block 0, or 0xFFFFFFFF when they do not fit."""
    return min(total_sectors - 1, _MAX_SECTORS)


def protective_mbr(block: bytes, total_sectors: int) -> bytes:
    """A protective MBR of 512 bytes for a disk of ``total_sectors``; boot code and disk signature of ``block`` stay."""
    size = protective_size(total_sectors)
    # CHS 0/0/2 up to the end, or FF FF FF where CHS cannot express it: UEFI 2.10 table 5.4.
    record = _RECORD.pack(0, b"\x00\x02\x00", PROTECTIVE_TYPE, _ending_chs(total_sectors), 1, size)
    kept = block[:_RECORDS_AT].ljust(_RECORDS_AT, b"\0")
    return kept + record + bytes(48) + SIGNATURE.to_bytes(2, "little")


def _ending_chs(total_sectors: int) -> bytes:
    """CHS of the last sector for 255 heads and 63 sectors a track."""
    track, sector = divmod(total_sectors - 1, 63)
    cylinder, head = divmod(track, 255)
    if cylinder > 1023:
        return b"\xff\xff\xff"
    return bytes((head, cylinder >> 2 & 0xC0 | sector + 1, cylinder & 0xFF))
