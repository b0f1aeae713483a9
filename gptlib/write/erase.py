"""Makes a disk one without a GPT again."""

from __future__ import annotations

from gptlib.table.structures import PRIMARY
from gptlib.table.table import Table
from gptlib.write.placement import is_writable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from gptlib.disk import Disk
    from gptlib.read.state import Examination
    from gptlib.read.validation import Copy
    from gptlib.write.plan import Epoch, Region


def erase(disk: Disk) -> Sequence[Epoch]:
    """Do what ``Disk.erase`` says."""
    found = disk.examination
    disk.check_writable()
    fd = disk.block_fd
    if fd is None or not found.has_signature:
        return disk.write_regions(plan_erase(found))
    from gptlib.linux.kernel import check_unused

    none = Table.new(total_sectors=found.total_sectors, sector_size=found.sector_size, entry_count=1)
    check_unused(fd, disk.path, none)
    epochs = disk.write_regions(plan_erase(found))
    disk.tell_kernel(none)
    return epochs


def plan_erase(found: Examination) -> list[list[Region]]:
    """Zero the backup header, then the primary header, then both arrays: until the second flush the table can be read.

    Only what is known to be part of a GPT is touched: nothing on a disk without one, and an array only where a header says
    that it is one and nothing else stands in it. The MBR stays as it is, and so does a copy that is marked IGNOREME.
    """
    size = found.sector_size
    copies = [copy for copy in (found.backup, found.primary) if copy.header is not None]
    arrays = [array for copy in copies for array in _array(found, copy)]
    return [*([(copy.lba, bytes(size))] for copy in copies), arrays]


def _array(found: Examination, copy: Copy) -> list[Region]:
    """The entries of a copy: where its own header says, or the table of the other one, if the header is not valid."""
    header, table = copy.header, found.table
    if copy.where in found.left_alone or (table is None and not copy.valid):
        return []
    if header is not None and copy.valid:
        return [(header.partition_entry_lba, bytes(header.array_bytes))]
    if table is None or not is_writable(table):
        return []
    lba = table.entries_lba(primary=copy.where == PRIMARY)
    return [(lba, bytes(len(table.entries)))]
