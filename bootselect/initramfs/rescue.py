"""The ``bootselect`` of the rescue shell: what is on the disks, and one way to make a slot bootable again."""

from __future__ import annotations

import os
import sys

from bootselect.errors import NotASlotError, reason_of
from bootselect.initramfs.config import load_config
from bootselect.initramfs.disks import scan
from bootselect.selection import describe
from bootselect.slots import find_slot, slots_of
from bootselect.verbs import mark_good, prioritize
from gptlib.disk import Disk
from gptlib.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gptlib.table.guid import Guid

_USAGE = """usage: bootselect status              the disks with slots, and their attributes
       bootselect mark-good SLOT      boot this slot (number or label) from now on"""


def main() -> None:
    """Entry point; exits the process."""
    try:
        code = run(sys.argv[1:], load_config().slot_type, _say)
    except BaseException as error:  # noqa: BLE001  (in a rescue shell a traceback helps nobody)
        os.write(2, f"bootselect: {printable(reason_of(error))}\n".encode("utf-8", "backslashreplace"))
        code = 1
    sys.exit(code)


def _say(line: str) -> None:
    # Not print: what it could not write it would try to write again at the end, with a traceback.
    os.write(1, f"{line}\n".encode("utf-8", "backslashreplace"))


def run(arguments: Sequence[str], type_guid: Guid, say: Callable[[str], None]) -> int:
    """One command. Raises what the disk raises; a disk is changed by one write or not at all."""
    match arguments:
        case ["status"]:
            passed_over: dict[str, str] = {}
            for candidate in scan(type_guid, passed_over):
                with Disk.open(candidate.path) as disk:
                    table = disk.table()
                say(printable(f"{candidate.path}: {describe(table, slots_of(table, type_guid))}"))
            for path, why in passed_over.items():
                say(printable(f"{path}: not used: {why}"))
            return 0
        case ["mark-good", slot]:
            paths = [candidate.path for candidate in scan(type_guid, {})]
            say(printable(_boot_from_now_on(paths, type_guid, slot)))
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
