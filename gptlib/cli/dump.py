"""``gptctl dump``: the table as text, or (--raw) every field of it as it stands on the disk."""

from __future__ import annotations

from gptlib.cli.common import JSON, out
from gptlib.cli.options import Command, Option, UsageError
from gptlib.cli.textform import dump_of
from gptlib.disk import Disk
from gptlib.dump import dump_text
from gptlib.linux.resolve import resolve_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.cli.options import Parsed


def _run(parsed: Parsed) -> int:
    if parsed.has("r"):
        return _raw(resolve_target(parsed.argument()).path, as_json=parsed.has("json"))
    if parsed.has("json"):
        raise UsageError("--json is for --raw; without it the output is a text form that gptctl restore reads")
    out(dump_text(dump_of(parsed.argument())))
    return 0


def _raw(path: str, *, as_json: bool) -> int:
    """Show what is there. Raises as ``Disk.read`` after that, where there is no usable table."""
    # construct takes longer to import than all the rest of a command.
    from gptlib.raw.output import raw_json, raw_text
    from gptlib.raw.parts import parts_of

    with Disk.open(path) as disk:
        found = disk.examine()
        parts = parts_of(disk.cache, found)
        if as_json:
            out(raw_json(path, found, parts))
        else:
            out("".join(f"{line}\n" for line in raw_text(parts)))
        if found.table is None:
            disk.read()
    return 0


COMMAND = Command(
    "dump",
    "DRIVE",
    "Write the table and the MBR as text on stdout. gptctl restore makes the very same bytes of it again.",
    (
        Option(
            "r", "", "Every field of the MBR, of both headers and of each used entry\nas it stands on the disk", "raw"
        ),
        JSON,
    ),
    _run,
    "With --raw each line has the offset on the disk and the bytes, both in hexadecimal digits, the name that UEFI gives\n"
    "to the field, its value, and what that means; ! marks what is wrong. Damaged copies are shown too, and the backup both\n"
    "where the primary says that it is and at the end of the disk. --json is for --raw. Exit code: 1 where no table can be\n"
    "used, after what is there has been shown.",
    usage_exit=2,
)
