"""Image files of disks, as QEMU's tools know them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.errors import ImageError
from qemu_tests.harness.tools import run_tool

if TYPE_CHECKING:
    from pathlib import Path

SMALLEST_DISK = 2 << 20
"""Bytes of a disk that has room for partitions."""


@dataclass(frozen=True)
class ImageInfo:
    """``format`` as QEMU names it; ``size`` is that of the disk in bytes, not of the file."""

    format: str
    size: int


def image_info(path: Path, smallest: int = SMALLEST_DISK) -> ImageInfo:
    """What an image file is. Raises ImageError when there is none or it has less than ``smallest`` bytes, ToolFailedError, MissingToolError."""
    if not path.is_file():
        reason = (
            "is not a file; give a disk image"
            if path.exists()
            else "there is no such image; build one with image-builder"
        )
        raise ImageError(path, reason)
    # Force-share: a running QEMU holds the lock.
    fields = json.loads(run_tool("qemu-img", "info", "-U", "--output", "json", path.resolve()))
    info = ImageInfo(str(fields["format"]), int(fields["virtual-size"]))
    if info.size < smallest:
        what = "a disk with partitions" if smallest == SMALLEST_DISK else f"what takes at least {smallest}"
        raise ImageError(path, f"it has {info.size} bytes, too few for {what}; build it again")
    return info


def as_raw(path: Path, image_format: str, folder: Path) -> Path:
    """The image itself where it is raw, else a raw copy in ``folder``. Raises ToolFailedError."""
    if image_format == "raw":
        return path.resolve()
    copy = folder / "base.raw"
    run_tool("qemu-img", "convert", "-U", "-f", image_format, "-O", "raw", path.resolve(), copy.resolve())
    return copy
