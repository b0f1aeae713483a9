"""ChromeOS's "legacy" modes (vboot ``cgpt legacy``): tables that other readers are meant not to find.

``CHROMEOS`` headers are valid for ChromeOS alone; the first sector of the primary entries is zeroed so that nothing takes the
primary for a table. ``IGNOREME`` takes the primary out of use altogether, for firmware that would overwrite it.
"""

from __future__ import annotations

from gptlib.header import IGNORED_SIGNATURES, LEGACY_SIGNATURE, encode_header, header_crc
from gptlib.table import HEADER_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.plan import Region
    from gptlib.table import Table


def plan_legacy(table: Table, *, primary_ignored: bool) -> list[list[Region]]:
    """Both headers get the signature CHROMEOS, then the first sector of the primary entries is zeroed.

    The backup, which must be valid, keeps its entries: it is the table from now on. A primary marked IGNOREME stays that.
    """
    backup, primary = (_signed(encode_header(table, primary=one), LEGACY_SIGNATURE) for one in (False, True))
    steps: list[list[Region]] = [[(table.backup_lba, backup)]]
    if not primary_ignored:
        steps += [[(1, primary)], [(table.primary_entries_lba, bytes(table.sector_size))]]
    return steps


def plan_efi_part(table: Table) -> list[list[Region]]:
    """The way back, from either mode: primary entries, primary header and only then the backup, the table until here."""
    return [
        [(table.primary_entries_lba, table.entries)],
        [(1, encode_header(table, primary=True))],
        [(table.backup_lba, encode_header(table, primary=False))],
    ]


def plan_ignore_primary(table: Table) -> list[list[Region]]:
    """The primary header is replaced by the mark IGNOREME, with the CRC that cgpt gives it."""
    return [[(1, _signed(bytes(table.sector_size), IGNORED_SIGNATURES[0]))]]


def _signed(sector: bytes, signature: bytes) -> bytes:
    sector = signature + sector[len(signature) :]
    return sector[:16] + header_crc(sector, HEADER_SIZE).to_bytes(4, "little") + sector[20:]
