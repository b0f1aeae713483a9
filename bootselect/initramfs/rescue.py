"""The ``bootselect`` of the rescue shell: what is on the disks, and one way to make a slot bootable again."""

from __future__ import annotations

import sys

from bootselect.errors import BootselectError, NotASlotError
from bootselect.initramfs.config import load_config
from bootselect.initramfs.disks import scan
from bootselect.selection import describe
from bootselect.slots import find_slot, slots_of
from bootselect.verbs import mark_good, prioritize
from gptlib.disk import Disk
from gptlib.errors import GptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gptlib.guid import Guid

_USAGE = """usage: bootselect status              the disks with slots, and their attributes
       bootselect mark-good SLOT      boot this slot (number or label) from now on"""


def main() -> None:
    """Entry point; exits the process."""
    try:
        sys.exit(run(sys.argv[1:], load_config().slot_type, print))
    except (BootselectError, GptError) as error:
        sys.exit(f"bootselect: {error}")


def run(arguments: Sequence[str], type_guid: Guid, say: Callable[[str], None]) -> int:
    """One command. Raises what the disk raises; a disk is changed by one write or not at all."""
    match arguments:
        case ["status"]:
            for candidate in scan(type_guid):
                with Disk.open(candidate.path) as disk:
                    table = disk.table()
                say(f"{candidate.path}: {describe(table, slots_of(table, type_guid))}")
            return 0
        case ["mark-good", slot]:
            say(_boot_from_now_on([candidate.path for candidate in scan(type_guid)], type_guid, slot))
            return 0
    say(_USAGE)
    return 2


def _boot_from_now_on(paths: Sequence[str], type_guid: Guid, wanted: str) -> str:
    if len(paths) != 1:
        raise NotASlotError(", ".join(paths) or "no disk", wanted, "on more than one disk, or on none")
    with Disk.open(paths[0], write=True) as disk:
        table = disk.table()
        number = find_slot(paths[0], table, slots_of(table, type_guid), wanted)
        table = prioritize(mark_good(table, number), type_guid, number)
        disk.write(table)
    return f"{paths[0]}: {describe(table, slots_of(table, type_guid))}"
