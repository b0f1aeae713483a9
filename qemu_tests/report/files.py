"""Reports as files: the JSON that machines read, and beside it the page that people read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from qemu_tests.report.codec import from_json, to_json
from qemu_tests.report.errors import ReportFileError, ReportFormatError
from qemu_tests.report.html.page import render

if TYPE_CHECKING:
    from pathlib import Path

    from qemu_tests.report.model import Run


def write_report(run: Run, page: Path) -> Path:
    """Write the page, and the JSON of the same beside it, whose path is returned. Raises ReportFileError.

    Folders are made. Each file is replaced as a whole or not at all.
    """
    data = page.with_suffix(".json")
    if data == page:
        raise ReportFileError(page, "write", "the page needs another name than its JSON; give one that ends with .html")
    _replace(data, to_json(run))
    _replace(page, render(run))
    return data


def write_page(run: Run, page: Path) -> None:
    """Write the page alone. Raises ReportFileError."""
    _replace(page, render(run))


def read_run(path: Path) -> Run:
    """The run of a JSON file. Raises ReportFileError and ReportFormatError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ReportFileError(path, "read", error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ReportFormatError(path, "no text", str(error)) from error
    return from_json(text, path)


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name[:200]}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise ReportFileError(path, "write", error.strerror or str(error)) from error
