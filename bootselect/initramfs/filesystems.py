"""The UUIDs of file systems, as libblkid tells them. Imported only where ``boot-disk=UUID=`` asks for one."""

from __future__ import annotations

from gptlib.errors import ReadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.disk import Disk
    from gptlib.table.table import Table

_HEAD = 4096
_EXT_MAGIC, _EXT_UUID = (1080, b"\x53\xef"), slice(1128, 1144)  # fs/ext4/ext4.h: s_magic, s_uuid
_EROFS_MAGIC, _EROFS_UUID = (1024, b"\xe2\xe1\xf5\xe0"), slice(1072, 1088)  # fs/erofs/erofs_fs.h
_BOOT_SIGNATURE = (510, b"\x55\xaa")
_FAT32, _FAT32_SERIAL = (82, b"FAT32   "), slice(67, 71)
_FAT, _FAT_SERIAL = (54, b"FAT1"), slice(39, 43)


def filesystem_uuids(disk: Disk, table: Table) -> frozenset[str]:
    """The UUIDs, in lower case, of the file systems on the partitions that can be read: ext2 to ext4, erofs, FAT."""
    found = set()
    for partition in table.partitions.values():
        try:
            head = disk.device.read(partition.first_lba * table.sector_size, _HEAD)
        except ReadError:
            continue
        found.add(uuid_of(head))
    return frozenset(found - {""})


def uuid_of(head: bytes) -> str:
    """The UUID of the file system that begins with these 4 KiB, in lower case; empty where it is not a known one."""
    if _has(head, _EXT_MAGIC):
        return _uuid(head[_EXT_UUID])
    if _has(head, _EROFS_MAGIC):
        return _uuid(head[_EROFS_UUID])
    if _has(head, _BOOT_SIGNATURE):
        for magic, serial in ((_FAT32, _FAT32_SERIAL), (_FAT, _FAT_SERIAL)):
            if _has(head, magic):
                digits = head[serial][::-1].hex()
                return f"{digits[:4]}-{digits[4:]}"
    return ""


def _has(head: bytes, magic: tuple[int, bytes]) -> bool:
    return head.startswith(magic[1], magic[0])


def _uuid(data: bytes) -> str:
    digits = data.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}" if any(data) else ""
