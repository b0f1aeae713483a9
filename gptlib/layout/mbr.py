"""Protective MBR: UEFI 2.10 tables 5.1 to 5.4. It fills the first 512 bytes of logical block 0, whatever the sector size."""

from construct import Bytes, Int8ul, Int16ul, Int32ul, Struct

RECORD = Struct(
    "boot_indicator" / Int8ul,
    "starting_chs" / Bytes(3),
    "os_type" / Int8ul,  # 0xEE: GPT protective
    "ending_chs" / Bytes(3),
    "starting_lba" / Int32ul,
    "size_in_lba" / Int32ul,  # the whole disk after block 0, or 0xFFFFFFFF
)

MBR = Struct(
    "boot_code" / Bytes(440),
    "unique_mbr_disk_signature" / Bytes(4),
    "unknown" / Bytes(2),
    "partition_records" / Bytes(64),  # four RECORDs
    "signature" / Int16ul,  # 0xAA55
)
