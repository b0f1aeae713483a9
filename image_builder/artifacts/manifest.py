"""What a pipeline wants to know of an update before it is installed anywhere, as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from image_builder import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
NEARLY_FULL = 90.0
"""Percent of a slot from which on a warning is due: the next update may be a little larger."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """An update.

    ``size`` and ``limit`` are bytes: of the slot image, and of the smallest partition that it goes into. ``sha256`` and
    ``root_hash`` (of the verity tree; None without one) are lower-case hexadecimal. ``slot`` is the name of its section in the
    definition. ``kernels`` are the releases that it has modules for; ``own_kernel``: it brings the kernel that it runs on.
    ``packages`` is their number, None where nobody knows. ``tools``: program -> line with its version. ``epoch``: Unix seconds.
    """

    name: str
    version: str
    slot: str
    slot_type: str
    size: int
    sha256: str
    filesystem: str
    compression: str
    root_hash: str | None
    limit: int
    kernels: tuple[str, ...]
    own_kernel: bool
    packages: int | None
    tools: Mapping[str, str]
    epoch: int

    @property
    def fill(self) -> float:
        """How much of the smallest partition the slot fills, in percent with one decimal, rounded up: 100.0 is full."""
        return -(-self.size * 1000 // self.limit) / 10

    @property
    def is_nearly_full(self) -> bool:
        """Whether a warning is due."""
        return self.fill > NEARLY_FULL

    def to_json(self) -> str:
        """The text of the file; same values, same text."""
        fields = {
            "format": FORMAT,
            "name": self.name,
            "version": self.version,
            "slot": self.slot,
            "slot-type": self.slot_type,
            "size": self.size,
            "sha256": self.sha256,
            "filesystem": self.filesystem,
            "compression": self.compression,
            "verity-root-hash": self.root_hash,
            "fill-percent": self.fill,
            "fill-limit": self.limit,
            "kernels": list(self.kernels),
            "own-kernel": self.own_kernel,
            "packages": self.packages,
            "tools": dict(sorted(self.tools.items())),
            "builder": f"slotboot {__version__}",
            "source-date-epoch": self.epoch,
        }
        return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"
