"""The UUIDs of file systems, as libblkid tells them. Imported only where ``boot-disk=UUID=`` asks for one."""

from __future__ import annotations

from bootselect.formats.filesystem import HEAD, filesystem_of
from gptlib.errors import ReadError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.disk import Disk
    from gptlib.table.table import Table

_BOOT_SIGNATURE = (510, b"\x55\xaa")
_FAT32, _FAT32_SERIAL = (82, b"FAT32   "), slice(67, 71)
_FAT, _FAT_SERIAL = (54, b"FAT1"), slice(39, 43)


def filesystem_uuids(disk: Disk, table: Table) -> frozenset[str]:
    """The UUIDs, in lower case, of the file systems on the partitions that can be read: ext2 to ext4, erofs, FAT."""
    found = set()
    for partition in table.partitions.values():
        try:
            head = disk.device.read(partition.first_lba * table.sector_size, HEAD)
        except ReadError:
            continue
        found.add(uuid_of(head))
    return frozenset(found - {""})


def uuid_of(head: bytes) -> str:
    """The UUID of the file system that begins with these 4 KiB, in lower case; empty where it is not a known one."""
    found = filesystem_of(head)
    if found is not None:
        return _uuid(found.uuid)
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
