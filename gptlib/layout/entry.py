"""GPT partition entry: UEFI 2.10 table 5.6. The fields fill 128 bytes; a larger entry has a reserved tail."""

from construct import Bytes, Int64ul, Struct

ENTRY = Struct(
    "partition_type_guid" / Bytes(16),  # zero: unused entry
    "unique_partition_guid" / Bytes(16),
    "starting_lba" / Int64ul,
    "ending_lba" / Int64ul,  # inclusive
    "attributes" / Int64ul,
    "partition_name" / Bytes(72),  # 36 UTF-16LE code units, NUL padded
)
