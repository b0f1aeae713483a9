"""Updates in folders, the command that installs them, and disks made by hand."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from click.testing import CliRunner, Result

from tests.gptlib.handmade import Entry, Gpt
from tests.support import COREOS_USR
from update_agent.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

A, B = 1, 2
"""The numbers of the slots on the disks of ``two_slots``."""
GOOD, EMPTY = 0x0101 << 48, 0
"""Attributes: 1/0/1 and 0/0/0."""
DATA = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def describe(folder: Path, content: bytes, **changes: object) -> None:
    """Write the update.json that fits ``content``, but for ``changes``."""
    fields = {
        "format": 1,
        "name": "demo",
        "version": "2",
        "slot-type": COREOS_USR,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (folder / "update.json").write_text(json.dumps({**fields, **changes}))


def updatectl(*words: object) -> Result:
    """Run ``updatectl`` in this process; it ends with an exit code, and never with a traceback."""
    result = CliRunner().invoke(main, [str(word) for word in words], prog_name="updatectl")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refusal(result: Result) -> str:
    """What a command said that was refused before it did anything: one line."""
    assert result.exit_code == 1, result.output
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("updatectl: ")
    return result.stderr


@dataclass(frozen=True)
class TwoSlots:
    """A disk made by hand, of sectors with a pattern: slot A, slot B right behind it, and right behind that a partition."""

    gpt: Gpt

    def bytes_of(self, number: int) -> slice:
        """Where a partition is."""
        entry, size = self.gpt.entries[number], self.gpt.sector_size
        return slice(entry.first * size, (entry.last + 1) * size)

    def without_tables(self, image: bytes) -> bytes:
        """The bytes of all partitions, and of the free space."""
        size = self.gpt.sector_size
        start = (self.gpt.primary_entries + self.gpt.array_sectors) * size
        return image[start : self.gpt.backup_entries * size]


def two_slots(slot_sectors: int, sector_size: int = 512, *, first: int = 2048) -> TwoSlots:
    """``slot_sectors`` is the size of slot B; the partition behind it ends where the usable sectors do."""
    behind = first + 100 + slot_sectors
    entries = {
        A: Entry(first, first + 99, "USR-A", GOOD),
        B: Entry(first + 100, behind - 1, "USR-B", EMPTY),
        3: Entry(behind, behind + 49, "NEXT", kind=DATA),
    }
    array = -(-128 * 128 // sector_size)
    return TwoSlots(Gpt(sectors=behind + 50 + array + 1, sector_size=sector_size, entries=entries))
