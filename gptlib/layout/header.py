"""GPT header: UEFI 2.10 table 5.5. The fields fill 92 bytes; the rest of the sector is reserved."""

from construct import Bytes, Int32ul, Int64ul, Struct

HEADER = Struct(
    "signature" / Bytes(8),  # "EFI PART"; ChromeOS writes "IGNOREME" into a copy that nobody may use or repair
    "revision" / Int32ul,  # 0x00010000
    "header_size" / Int32ul,  # 92 up to the sector size
    "header_crc32" / Int32ul,  # of header_size bytes with this field zeroed
    "reserved" / Int32ul,
    "my_lba" / Int64ul,
    "alternate_lba" / Int64ul,
    "first_usable_lba" / Int64ul,
    "last_usable_lba" / Int64ul,
    "disk_guid" / Bytes(16),
    "partition_entry_lba" / Int64ul,
    "number_of_partition_entries" / Int32ul,
    "size_of_partition_entry" / Int32ul,  # 128 * 2^n
    "partition_entry_array_crc32" / Int32ul,
)
