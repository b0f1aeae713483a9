"""Moments of a story as events of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qemu_tests.report.tables import table_of
from qemu_tests.story import timeline as kinds

if TYPE_CHECKING:
    from collections.abc import Callable

    from qemu_tests.report.recorder import Recorder
    from qemu_tests.story.timeline import Moment


def report_to(recorder: Recorder) -> Callable[[Moment], None]:
    """An observer of a timeline: tells the machine's record, where the machine has one. Of a boot the machine tells itself."""

    def tell(moment: Moment) -> None:
        record = recorder.named(moment.machine)
        if record is not None and moment.kind != kinds.BOOT:
            table = None if moment.slots is None else table_of(moment.slots, ("cgpt", "sgdisk", "gptlib"))
            record.tell(moment.kind, moment.text, table)

    return tell
