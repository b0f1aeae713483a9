"""Protective MBR: UEFI 2.10 tables 5.1 to 5.4. It fills the first 512 bytes of logical block 0, whatever the sector size."""

from construct import Bytes, Int8ul, Int16ul, Int32ul, Struct

MBR_RECORD = Struct(
    "boot_indicator" / Int8ul,
    "starting_chs" / Bytes(3),
    "os_type" / Int8ul,  # 0xEE: GPT protective
    "ending_chs" / Bytes(3),
    "starting_lba" / Int32ul,
    "size_in_lba" / Int32ul,  # the whole disk after block 0, or 0xFFFFFFFF
)

BOOT_CODE = Struct(  # of boot loaders that boot by a GUID: ChromeOS's cgpt, syslinux's gptmbr
    "code" / Bytes(424),
    "boot_guid" / Bytes(16),  # unique GUID of the partition to boot
)

MBR = Struct(
    "boot_code" / Bytes(440),  # BOOT_CODE
    "unique_mbr_disk_signature" / Bytes(4),
    "unknown" / Bytes(2),  # 1D 9A where a boot GUID is meant (syslinux)
    "partition_records" / Bytes(64),  # four MBR_RECORDs
    "signature" / Int16ul,  # 0xAA55
)
