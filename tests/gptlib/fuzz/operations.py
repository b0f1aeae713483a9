"""Every operation on a table, run on a disk in memory, and what it must not do there."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from bootselect.cli.main import main as bootselect
from bootselect.errors import ActiveUnknownError
from gptlib.cli.main import main as gptctl
from tests.gptlib.fuzz.memory import in_memory
from tests.gptlib.verdict import (
    ASKED,
    AUTOMATIC,
    ERASING,
    FORCED,
    LEGACY,
    MBR,
    READING,
    Case,
    check_moments,
    check_repaired,
    check_writes,
)

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tests.gptlib.fuzz.memory import MemoryDisk

READS_PER_RUN = 120


class Operation(NamedTuple):
    """Commands, one after the other. Words in capitals are filled in: N a used entry, FREE an unused one, DUMP a file."""

    kind: str
    commands: tuple[str, ...]


OPERATIONS = {
    command: Operation(kind, tuple(command.split("; ")))
    for kind, commands in {
        READING: (
            "gptctl show", "gptctl show -v", "gptctl show -d", "gptctl show --json", "gptctl verify", "gptctl dump",
            "gptctl find -t coreos-usr", "gptctl boot", "bootselect status", "bootselect verify", "bootselect next --dry-run",
            "bootselect simulate",
        ),
        AUTOMATIC: (
            "gptctl next", "gptctl repair", "gptctl add -i N -P 3 -T 7", "gptctl add -i N -l other", "gptctl add -i N -t unused",
            "gptctl add -i FREE -b START -s 3 -t data", "gptctl edit -u 01234567-89AB-CDEF-0123-456789ABCDE0",
            "gptctl prioritize -i N", "gptctl resize -i N -m 1",
            "bootselect next", "bootselect next --policy chromeos", "bootselect mark-good --slot N", "bootselect mark-bad --slot N",
            "bootselect arm --slot N", "bootselect prioritize --slot N", "bootselect rollback --slot N",
        ),
        LEGACY: (
            "gptctl legacy", "gptctl legacy -p", "gptctl legacy -e", "gptctl legacy; gptctl legacy -e",
            "gptctl legacy -p; gptctl legacy -e",
        ),
        FORCED: ("gptctl repair -f",),
        ASKED: ("gptctl create", "gptctl create -p 16", "gptctl restore -f -k DUMP"),
        ERASING: ("gptctl create -z",),
        MBR: ("gptctl boot -i N", "gptctl boot -p"),
    }.items()
    for command in commands
}  # fmt: skip


class Ran(NamedTuple):
    code: int
    out: str
    err: str


def run(words: list[str]) -> Ran:
    """Run a command of ours in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        patch.setattr("bootselect.slot_disk.find_active", _unknown)
        if words[0] == "gptctl":
            code = gptctl(words[1:])
        else:
            try:
                bootselect(words[1:])
                code = 0
            except SystemExit as exit_:
                code = int(exit_.code or 0)
    out.flush()
    return Ran(code, out.buffer.getvalue().decode(), err.getvalue())


def _unknown() -> None:
    raise ActiveUnknownError("no system runs from this disk")


class Trial:
    """A case on which commands are run, by the name of a file."""

    def __init__(self, path: Path, case: Case) -> None:
        self.path, self.case = path, case

    def words(self, command: str) -> list[str]:
        layout = self.case.layout
        entries = layout.entries if layout else {}
        free = next((n for n in range(1, 129) if n not in entries), 128)
        start = layout.header.first if layout else 64
        given = {"N": min(entries, default=1), "FREE": free, "START": start, "DUMP": self.path.with_name("table.dump")}
        return [str(given.get(word, word)) for word in [*command.split(), str(self.path)]]

    def run(self, command: str) -> tuple[Ran, MemoryDisk]:
        with in_memory(str(self.path), self.case.image) as disk:
            return run(self.words(command)), disk


def check(path: Path, case: Case, operation: Operation, chance: random.Random) -> bool:
    """Run an operation on a disk and hold it to the rule. Returns whether anything was written."""
    written = False
    for command in operation.commands:
        ran, disk = Trial(path, case).run(command)
        assert ran.code in {0, 1, 3}, ran
        assert disk.reads <= READS_PER_RUN
        if ran.code or operation.kind == READING:
            assert disk.writes == [], f"wrote although it ended with {ran}"
        if ran.code and operation.kind != READING:
            assert ran.err.count("\n") == 1, ran
        if command == "gptctl repair" and not ran.code:
            check_repaired(case, bytes(disk.image))
        if disk.writes:
            after, written = bytes(disk.image), True
            check_writes(case, operation.kind, disk.writes, after)
            if operation.kind in {AUTOMATIC, LEGACY, FORCED}:
                check_moments(case, disk.epochs, after, chance)
            case = Case(after, case.size, case.ground)
    return written
