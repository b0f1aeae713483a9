"""Errors of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qemu_tests.errors import LabError

if TYPE_CHECKING:
    from pathlib import Path


class ReportFormatError(LabError):
    """A JSON file is not a report that this version reads. Nothing was written."""

    def __init__(self, path: Path | str, where: str, found: str) -> None:
        super().__init__(f"{path}: no report of slotboot: {where}: {found}")
        self.path, self.where = path, where


class ReportFileError(LabError):
    """A report cannot be read or written. A file that was there before is as it was."""

    def __init__(self, path: Path, doing: str, reason: str) -> None:
        super().__init__(f"{path}: cannot {doing} the report: {reason}")
        self.path = path
