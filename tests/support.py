"""Disk images made and read by tools that are not ours."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

COREOS_USR = "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6"
PTS = tuple[int, int, int]


def run_tool(*argv: str | Path) -> str:
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=True).stdout


@dataclass(frozen=True)
class SlotImage:
    """An image file whose table Debian's cgpt made; its slots are partitions 3, 4, ... of 1 MiB each."""

    path: Path

    def attributes(self) -> list[PTS]:
        """Priority, tries and successful of every slot, as cgpt reads them."""
        return [
            (self._field(number, "-P"), self._field(number, "-T"), self._field(number, "-S"))
            for number in self._numbers()
        ]

    def _numbers(self) -> list[int]:
        return [int(word) for word in run_tool("cgpt", "find", "-n", "-t", COREOS_USR, self.path).split()]

    def _field(self, number: int, option: str) -> int:
        return int(run_tool("cgpt", "show", "-i", str(number), option, self.path))

    def partuuid(self, number: int) -> str:
        return run_tool("cgpt", "show", "-i", str(number), "-u", self.path).strip().lower()

    def verify(self) -> str:
        return run_tool("sgdisk", "--verify", self.path)

    def zero(self, sector: int, count: int = 1) -> None:
        with self.path.open("r+b") as file:
            file.seek(sector * 512 if sector >= 0 else self.path.stat().st_size + sector * 512)
            file.write(bytes(512 * count))
