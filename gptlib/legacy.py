"""ChromeOS's "legacy" modes (vboot ``cgpt legacy``): tables that other readers are meant not to find.

``CHROMEOS`` headers are valid for ChromeOS alone; the first sector of the primary entries is zeroed so that nothing takes the
primary for a table. ``IGNOREME`` takes the primary out of use altogether, for firmware that would overwrite it.
"""

from __future__ import annotations

from gptlib.header import IGNORED_SIGNATURES, LEGACY_SIGNATURE, encode_header, header_crc
from gptlib.plan import Write
from gptlib.table import HEADER_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.plan import Epoch
    from gptlib.table import Table


def plan_legacy(table: Table) -> list[Epoch]:
    """Both headers get the signature CHROMEOS, then the first sector of the primary entries is zeroed.

    The backup, which must be valid, keeps its entries: it is the table from now on.
    """
    headers = [_signed(encode_header(table, primary=primary), LEGACY_SIGNATURE) for primary in (False, True)]
    return [
        (Write(table.backup_lba, headers[0]),),
        (Write(1, headers[1]),),
        (Write(table.primary_entries_lba, bytes(table.sector_size)),),
    ]


def plan_efi_part(table: Table) -> list[Epoch]:
    """The way back, from either mode: primary entries, primary header and only then the backup, the table until here."""
    size = table.sector_size
    entries = table.entries.ljust(table.entries_sectors * size, b"\0")
    return [
        (Write(table.primary_entries_lba, entries),),
        (Write(1, encode_header(table, primary=True)),),
        (Write(table.backup_lba, encode_header(table, primary=False)),),
    ]


def plan_ignore_primary(table: Table) -> list[Epoch]:
    """The primary header is replaced by the mark IGNOREME, with the CRC that cgpt gives it."""
    return [(Write(1, _signed(bytes(table.sector_size), IGNORED_SIGNATURES[0])),)]


def _signed(sector: bytes, signature: bytes) -> bytes:
    sector = signature + sector[len(signature) :]
    return sector[:16] + header_crc(sector, HEADER_SIZE).to_bytes(4, "little") + sector[20:]
