"""``gptctl legacy``: ChromeOS's header signatures."""

from __future__ import annotations

from gptlib.cli.common import target_of
from gptlib.cli.options import Command, Option, UsageError
from gptlib.disk import Disk
from gptlib.write.legacy import set_legacy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.cli.options import Parsed


def _run(parsed: Parsed) -> int:
    if parsed.has("e") and parsed.has("p"):
        raise UsageError("incompatible flags, pick either -e or -p")
    with Disk.open(target_of(parsed).path, write=True) as disk:
        set_legacy(disk, "efi-part" if parsed.has("e") else "ignore-primary" if parsed.has("p") else "legacy")
    return 0


COMMAND = Command(
    "legacy",
    "DRIVE",
    'Switch GPT header signature to "CHROMEOS".',
    (
        Option("e", "", 'Switch GPT header signature back to "EFI PART"'),
        Option("p", "", 'Switch primary GPT header signature to "IGNOREME"'),
    ),
    _run,
    "Both modes leave the backup as the only table; they are refused unless it is valid.",
)
