"""Writes the MBR alone."""

from __future__ import annotations

from gptlib.errors import InvalidValueError
from gptlib.layout.compiled import MBR_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gptlib.disk import Disk
    from gptlib.write.plan import Epoch


def write_mbr(disk: Disk, block: bytes) -> Sequence[Epoch]:
    """Write the first 512 bytes of the disk, and nothing else.

    Raises InvalidValueError, ReadOnlyError, TableError where a partition starts there (nothing written), and WriteError.
    """
    if len(block) != MBR_SIZE:
        raise InvalidValueError(f"an MBR has {MBR_SIZE} bytes, not {len(block)}")
    disk.check_writable()
    return disk.write_regions([[(0, block)]])
