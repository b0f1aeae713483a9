"""Which sectors make a disk one without a GPT again."""

from __future__ import annotations

from gptlib.judge import PRIMARY
from gptlib.plan import Write
from gptlib.table import array_sectors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.judge import Copy
    from gptlib.plan import Epoch
    from gptlib.reading import State

_USUAL_ARRAY = 128 * 128


def plan_erase(state: State) -> list[Epoch]:
    """Zero the backup header, then the primary header, then both arrays: until the second flush the table can be read.

    Only what claims to be part of a GPT is touched, so nothing happens on a disk without one. The MBR stays as it is, and
    so does a copy that is marked IGNOREME.
    """
    size = state.sector_size
    copies = [copy for copy in (state.backup, state.primary) if copy.header is not None]
    epochs = [(Write(copy.lba, bytes(size)),) for copy in copies]
    arrays = tuple(Write(lba, bytes(count * size)) for lba, count in (_array(copy, size) for copy in copies) if count)
    return [*epochs, arrays] if arrays else list(epochs)


def _array(copy: Copy, size: int) -> tuple[int, int]:
    """First sector and number of sectors of the entries: as a valid header says, else the usual place."""
    if copy.header is not None and copy.header_ok:
        return copy.header.entries_lba, array_sectors(copy.header.entry_count * copy.header.entry_size, size)
    usual = array_sectors(_USUAL_ARRAY, size)
    return (2 if copy.where == PRIMARY else copy.lba - usual), usual
