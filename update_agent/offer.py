"""What every update says of itself, wherever it comes from."""

from __future__ import annotations

from typing import Protocol


class Offer(Protocol):
    """``shown`` is what errors call it; ``releases`` and ``own_kernel`` are those of ``bootselect.formats.update.Description``."""

    @property
    def version(self) -> str:
        """As people know it."""

    @property
    def shown(self) -> str:
        """For errors."""

    @property
    def size(self) -> int:
        """Bytes of the slot image."""

    @property
    def sha256(self) -> str:
        """Of the slot image, in lower-case hexadecimal."""

    @property
    def releases(self) -> tuple[str, ...] | None:
        """Kernels that it has modules for; None where that is not known."""

    @property
    def own_kernel(self) -> bool:
        """Whether it brings the kernel that it runs with."""
