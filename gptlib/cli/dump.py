"""``gptctl dump``: the table as text."""

from __future__ import annotations

from gptlib.cli.common import out
from gptlib.cli.options import Command
from gptlib.cli.textform import dump_of
from gptlib.dump import dump_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.cli.options import Parsed


def _run(parsed: Parsed) -> int:
    out(dump_text(dump_of(parsed.argument())))
    return 0


COMMAND = Command(
    "dump",
    "DRIVE",
    "Write the table and the MBR as text on stdout. gptctl restore makes the very same bytes of it again.",
    (),
    _run,
    usage_exit=2,
)
