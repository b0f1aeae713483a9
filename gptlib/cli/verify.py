"""``gptctl verify``: everything that is wrong with a table, with its severity."""

from __future__ import annotations

from gptlib._text import text_of
from gptlib.cli.common import JSON, out, target_of
from gptlib.cli.options import Command, Option
from gptlib.disk import Disk
from gptlib.errors import CorruptGptError, NotGptError
from gptlib.printable import printable
from gptlib.read.checks import table_findings
from gptlib.read.findings import ERROR, WARNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib.cli.options import Parsed


def _run(parsed: Parsed) -> int:
    path = target_of(parsed).path
    with Disk.open(path) as disk:
        state = disk.examine()
        verdict = ""
        if state.table is None:
            try:
                disk.read()
            except (NotGptError, CorruptGptError) as error:
                verdict = text_of(str(error))
    findings = [*state.findings, *(table_findings(state.table) if state.table is not None else ())]
    if parsed.has("json"):
        from gptlib.cli.report import findings_json

        out(findings_json(path, state, findings))
    else:
        for finding in findings:
            out(f"{printable(str(finding))}\n")
        if state.table is not None:
            used, all_of_them = len(state.table.partitions), state.table.entries.capacity
            verdict = f"{text_of(path)}: {used} partitions in {all_of_them} entries, {len(findings) or 'no'} findings"
        out(f"{printable(verdict)}\n")
    bad = {ERROR, WARNING} if parsed.has("s") else {ERROR}
    return int(state.table is None or any(finding.severity in bad for finding in findings))


COMMAND = Command(
    "verify",
    "DRIVE",
    "Report everything that is wrong with both copies of the table, the MBR and the partitions.",
    (JSON, Option("s", "", "Exit 1 for warnings too, not only for errors", "strict")),
    _run,
    "Severities: error (a copy or an entry is unusable, or data is at risk), warning (works, but one more fault\n"
    "may not be survived), note. Exit code: 0 no errors, 1 errors.",
    usage_exit=2,
)
