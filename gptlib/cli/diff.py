"""``gptctl diff``: what differs between two tables."""

from __future__ import annotations

from gptlib._text import text_of
from gptlib.cli.common import complain, out
from gptlib.cli.options import Command, UsageError
from gptlib.cli.textform import dump_of, is_dump, read_dump
from gptlib.dump import dump_text
from gptlib.errors import GptError
from gptlib.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.cli.options import Parsed

_SAME, _DIFFERENT, _TROUBLE = 0, 1, 2


def _run(parsed: Parsed) -> int:
    if len(parsed.arguments) != 2:
        raise UsageError("two drives are expected (or dumps of some)")
    one, other = parsed.arguments
    try:
        texts = [dump_text(read_dump(path) if is_dump(path) else dump_of(path)) for path in (one, other)]
    except GptError as error:
        complain(f"ERROR: {error}")
        return _TROUBLE
    from difflib import unified_diff

    lines = list(
        unified_diff(texts[0].splitlines(), texts[1].splitlines(), text_of(one), text_of(other), n=0, lineterm="")
    )
    for line in lines:
        if not line.startswith("@@"):
            out(f"{printable(line)}\n")
    return _DIFFERENT if lines else _SAME


COMMAND = Command(
    "diff",
    "A B",
    "Compare two tables, line by line in the form of gptctl dump. A and B are disks, images or dumps (- for stdin).",
    (),
    _run,
    "Exit code, as of diff(1): 0 the same, 1 different, 2 one of them cannot be read.",
    usage_exit=2,
)
