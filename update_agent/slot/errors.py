"""Errors of the slot's room that no other room knows: one class per situation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.errors import UpdateError

if TYPE_CHECKING:
    from pathlib import Path


class JournalError(UpdateError):
    """The journal cannot be read or written. The slot is as it was; what is lost is that an installation can be gone on with."""

    def __init__(self, path: Path, doing: str, error: OSError) -> None:
        super().__init__(f"{path}: {doing} the journal of the installation failed: {error.strerror or error}")
        self.path = path


class BlobSizeError(UpdateError):
    """The bulk data have another size than their index says. Nothing was written."""

    def __init__(self, shown: str, size: int, expected: int) -> None:
        super().__init__(
            f"{shown}: it has {size} bytes, the index of the update says {expected}; nothing was written, the update has to "
            "be published again"
        )
        self.shown, self.size, self.expected = shown, size, expected
