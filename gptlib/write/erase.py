"""Which sectors make a disk one without a GPT again."""

from __future__ import annotations

from gptlib.table.structures import PRIMARY
from gptlib.write.placement import is_writable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.read.state import State
    from gptlib.read.validation import Copy
    from gptlib.write.plan import Region


def plan_erase(state: State) -> list[list[Region]]:
    """Zero the backup header, then the primary header, then both arrays: until the second flush the table can be read.

    Only what is known to be part of a GPT is touched: nothing on a disk without one, and an array only where a header says
    that it is one and nothing else stands in it. The MBR stays as it is, and so does a copy that is marked IGNOREME.
    """
    size = state.sector_size
    copies = [copy for copy in (state.backup, state.primary) if copy.header is not None]
    arrays = [array for copy in copies for array in _array(state, copy)]
    return [*([(copy.lba, bytes(size))] for copy in copies), arrays]


def _array(state: State, copy: Copy) -> list[Region]:
    """The entries of a copy: where its own header says, or the table of the other one, if the header is not valid."""
    header, table = copy.header, state.table
    if copy.where in state.left_alone or (table is None and not copy.valid):
        return []
    if header is not None and copy.valid:
        return [(header.entries_lba, bytes(header.entry_count * header.entry_size))]
    if table is None or not is_writable(table):
        return []
    lba = table.primary_entries_lba if copy.where == PRIMARY else table.backup_entries_lba
    return [(lba, bytes(len(table.entries)))]
