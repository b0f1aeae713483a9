"""Image files of disks, as QEMU's tools know them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.errors import ImageError
from qemu_tests.harness.tools import run_tool

if TYPE_CHECKING:
    from pathlib import Path

_MIN_SIZE = 2 << 20


@dataclass(frozen=True)
class ImageInfo:
    """``format`` as QEMU names it; ``size`` is that of the disk in bytes, not of the file."""

    format: str
    size: int


def image_info(path: Path) -> ImageInfo:
    """What an image file is. Raises ImageError when there is none or it is empty, ToolFailedError, MissingToolError."""
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
    if info.size < _MIN_SIZE:
        raise ImageError(path, f"it has {info.size} bytes, too few for a disk with partitions; build it again")
    return info


def as_raw(path: Path, image_format: str, folder: Path) -> Path:
    """The image itself where it is raw, else a raw copy in ``folder``. Raises ToolFailedError."""
    if image_format == "raw":
        return path.resolve()
    copy = folder / "base.raw"
    run_tool("qemu-img", "convert", "-U", "-f", image_format, "-O", "raw", path.resolve(), copy.resolve())
    return copy
