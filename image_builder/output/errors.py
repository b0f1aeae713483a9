"""Errors of the formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_builder.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class OutputFormatError(BuildError):
    """A disk cannot be written in this format. Nothing was written."""

    def __init__(self, path: Path, name: str, detail: str) -> None:
        super().__init__(f"{path}: cannot become {name}: {detail}")
        self.path, self.name = path, name


class UnknownOutputError(BuildError):
    """There is no format of this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"format {name!r} is not known; known are {', '.join(known)}")
        self.name, self.known = name, tuple(known)
