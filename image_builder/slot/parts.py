"""What slots are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.distribution.kernel import Kernel
    from image_builder.distribution.python import PythonTree


@dataclass(frozen=True)
class SlotParts:
    """Pieces of the target system. ``busybox`` is a static BusyBox."""

    busybox: Path
    python: PythonTree
    kernel: Kernel
