"""The steps of a write where not both copies can be written in the usual order of ``gptlib.write.plan``.

That is so where something that is not ours stands in the place of a copy, where that place lies in a partition which this very
change gives up, and where it has gone with the end of the disk. A copy that is not whole is written first, then the one that
was the only table until then; where only one may be written at all, it is changed on its own (``gptlib.write.single_copy``).
"""

from __future__ import annotations

from gptlib.errors import TableError
from gptlib.table.header import encode_header
from gptlib.table.structures import BACKUP, PRIMARY, structures
from gptlib.write.placement import in_partition, is_writable
from gptlib.write.plan import copy_regions
from gptlib.write.single_copy import plan_single

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from gptlib.read.state import Examination
    from gptlib.table.table import Table
    from gptlib.write.plan import Region

    Steps = list[list[Region]]

_OTHER = {PRIMARY: BACKUP, BACKUP: PRIMARY}


def plan_salvage(path: str, found: Examination, old: Table, new: Table, left_alone: Collection[str]) -> Steps:
    """The steps that turn the disk, where ``old`` is read, into ``new`` without the copies that are ``left_alone``.

    What can be repaired is first repaired with the old content. Raises TableError where only one copy may be written and
    that cannot be done without a moment in which the disk has no table (see ``gptlib.write.single_copy``).
    """
    copies = (found.primary, found.backup)
    out_of_reach = {*left_alone, *found.left_alone, *_without_place(old)}
    whole = [copy.where for copy in copies if copy.valid or copy.where not in out_of_reach]
    written = [where for where in _OTHER if where not in left_alone]
    kept = _kept_in_line(found, new, left_alone)
    if new == old:
        return [*copy_regions(new, left_alone), *kept]
    if len(written) == 1:
        single = plan_single(path, old, new, written[0])
        # Before the last step: sgdisk reads the other array by the CRC in this header.
        return [*copy_regions(old, out_of_reach), *single[:-1], *kept, single[-1]]
    return [*copy_regions(old, out_of_reach), *_change(path, found, old, new, whole)]


def _without_place(table: Table) -> list[str]:
    """The copies that cannot be written where the table says that they stand."""
    found = [where for where, other in _OTHER.items() if not is_writable(table, (other,))]
    return found if found or is_writable(table) else list(_OTHER)


def _change(path: str, found: Examination, old: Table, new: Table, whole: Collection[str]) -> Steps:
    given_up = [where for where, other in _OTHER.items() if _is_given_up(old, new, other)]
    if len(given_up) == 1 and _OTHER[given_up[0]] in whole:
        # After a power cut the old table may still be there, with the partition that it has in this place.
        try:
            return [*plan_single(path, old, new, _OTHER[given_up[0]]), *_entries_first(new, given_up[0])]
        except TableError:
            pass  # There is no room for that, and the partition was given up.
    if PRIMARY in whole:
        return [*_entries_first(new, BACKUP), *copy_regions(new, (BACKUP,))]
    if BACKUP in whole or found.primary.header_ok:
        return [*_entries_first(new, PRIMARY), *_entries_first(new, BACKUP)]
    return [*_entries_first(new, BACKUP), *_entries_first(new, PRIMARY)]


def _entries_first(table: Table, where: str) -> Steps:
    """A copy that nothing reads yet: its header comes when its entries are there."""
    steps = copy_regions(table, (_OTHER[where],), apart=True)
    return steps[::-1] if where == PRIMARY else steps


def _is_given_up(old: Table, new: Table, other: str) -> bool:
    return any(in_partition(old, one.first, one.last) is not None for one in structures(new, (other,)))


def _kept_in_line(found: Examination, new: Table, left_alone: Collection[str]) -> Steps:
    """A valid header of an array that is left alone: GRUB takes a backup only where both headers say the same."""
    return [
        [(copy.lba, encode_header(new, primary=copy.where == PRIMARY))]
        for copy in (found.primary, found.backup)
        if copy.where in left_alone and copy.header_ok and not copy.valid
    ]
