"""ChromeOS's "legacy" modes (vboot ``cgpt legacy``): tables that other readers are meant not to find.

``CHROMEOS`` headers are valid for ChromeOS alone; the first sector of the primary entries is zeroed so that nothing takes the
primary for a table. ``IGNOREME`` takes the primary out of use altogether, for firmware that would overwrite it.
"""

from __future__ import annotations

from gptlib.errors import TableError
from gptlib.layout.compiled import HEADER_SIZE
from gptlib.read.occupied import occupied_places
from gptlib.table.header import IGNORED_SIGNATURES, LEGACY_SIGNATURE, encode_header, with_header_crc
from gptlib.table.structures import BACKUP, PRIMARY
from gptlib.write.placement import check_places
from gptlib.write.plan import copy_regions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Literal

    from gptlib.disk import Disk
    from gptlib.read.sectors import SectorCache
    from gptlib.read.state import State
    from gptlib.table.table import Table
    from gptlib.write.plan import Epoch, Region

    Mode = Literal["legacy", "ignore-primary", "efi-part"]


def set_legacy(disk: Disk, mode: Mode) -> Sequence[Epoch]:
    """Switch to one of ChromeOS's modes: ``legacy``, ``ignore-primary`` or, back again, ``efi-part``.

    Raises as ``Disk.read``; ReadOnlyError; TableError where the backup, the only table of both modes, is not valid or not where
    it is looked for, and where something that is not ours stands in the place of a copy (nothing written); WriteError.
    """
    state = disk.state
    disk.check_writable()
    return disk.write_regions(plan_mode(disk.path, disk.cache, state, mode))


def plan_mode(path: str, cache: SectorCache, state: State, mode: Mode) -> list[list[Region]]:
    """The steps into a mode, or back to ``efi-part``.

    Raises TableError where the backup, the only table of both modes, is not valid or not where it is looked for, and where a
    copy has no place or something that is not ours stands in it.
    """
    table = state.table
    at_end = table.backup_lba == state.total_sectors - 1
    if mode != "efi-part" and not (state.backup.valid and at_end):
        reason = "not in the last sector" if state.backup.valid else "not valid"
        raise TableError(f"{path}: the backup is {reason} and cannot be left as the only table; repair it first")
    check_places(path, table)
    for finding in occupied_places(cache, state, ignored=mode == "efi-part"):
        raise TableError(f"{path}: {finding.where}: {finding.message}; nothing was written")
    if mode == "efi-part":
        is_left = state.is_legacy or state.primary.ignored or state.backup.ignored
        return plan_efi_part(table) if is_left else copy_regions(table)
    # The backup is all that will be read: it is first brought into line.
    steps = copy_regions(table, (PRIMARY,)) if state.source != BACKUP else []
    if mode == "legacy":
        return [*steps, *plan_legacy(table, primary_ignored=state.primary.ignored)]
    return steps if state.primary.ignored else [*steps, *plan_ignore_primary(table)]


def plan_legacy(table: Table, *, primary_ignored: bool) -> list[list[Region]]:
    """Both headers get the signature CHROMEOS, then the first sector of the primary entries is zeroed.

    The backup, which must be valid, keeps its entries: it is the table from now on. A primary marked IGNOREME stays that.
    """
    size = table.header_size
    backup, primary = (_signed(encode_header(table, primary=one), LEGACY_SIGNATURE, size) for one in (False, True))
    steps: list[list[Region]] = [[(table.backup_lba, backup)]]
    if not primary_ignored:
        steps += [[(1, primary)], [(table.primary_entries_lba, bytes(table.sector_size))]]
    return steps


def plan_efi_part(table: Table) -> list[list[Region]]:
    """The way back, from either mode: primary entries, primary header and only then the backup, the table until here."""
    return [
        [(table.primary_entries_lba, table.entries)],
        [(1, encode_header(table, primary=True))],
        [(table.backup_entries_lba, table.entries), (table.backup_lba, encode_header(table, primary=False))],
    ]


def plan_ignore_primary(table: Table) -> list[list[Region]]:
    """The primary header is replaced by the mark IGNOREME, with the CRC that cgpt gives it."""
    return [[(1, _signed(bytes(table.sector_size), IGNORED_SIGNATURES[0]))]]


def _signed(sector: bytes, signature: bytes, size: int = HEADER_SIZE) -> bytes:
    return with_header_crc(signature + sector[len(signature) :], size)
