"""Disks of machines: qcow2 layers over an image that is never written, faults, damage, and copies for the judges."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qemu_tests.errors import ImageError
from qemu_tests.harness.tools import run_tool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_BLOCK = 1 << 20
_BACKUP = 1 << 16
"""More than the bytes at the end of a disk that hold the backup of its table."""
_EIO = 5


@dataclass(frozen=True)
class ImageInfo:
    """``format`` as QEMU names it; ``size`` is that of the disk in bytes, not of the file."""

    format: str
    size: int


def image_info(path: Path) -> ImageInfo:
    """What an image file is. Raises ImageError when there is none or it is empty, ToolFailedError, MissingToolError."""
    if not path.is_file():
        reason = (
            "is no file; give a disk image" if path.exists() else "there is no such image; build one with image-builder"
        )
        raise ImageError(path, reason)
    # Force-share: a running QEMU holds the lock.
    fields = json.loads(run_tool("qemu-img", "info", "-U", "--output", "json", path.resolve()))
    info = ImageInfo(str(fields["format"]), int(fields["virtual-size"]))
    if info.size < 2 * _BLOCK:
        raise ImageError(path, f"it has {info.size} bytes, too few for a disk with partitions; build it again")
    return info


@dataclass(frozen=True)
class CutAt:
    """A power cut at an exact point: the machine freezes instead of writing ``sector`` (of 512 bytes) the first time."""

    sector: int


@dataclass(frozen=True)
class BadSector:
    """A write of ``sector`` fails: the guest gets an input/output error, each time."""

    sector: int


Fault = CutAt | BadSector


class LayeredDisk:
    """The disk of one machine. Its lowest image is only read; every start of the machine writes to a new layer.

    A layer that QEMU is killed on behaves like a disk with a volatile cache: what the guest flushed is there afterwards,
    what it did not flush is lost where the layer had nothing before. Hence the new layer for each start.
    """

    def __init__(self, image: Path, folder: Path) -> None:
        """``folder`` takes the layers. Raises ImageError, ToolFailedError and MissingToolError."""
        info = image_info(image)
        self.size = info.size
        self._folder = folder
        self._layers: list[tuple[Path, str]] = [(image.resolve(), info.format)]

    @property
    def top(self) -> Path:
        """The image that holds the newest contents."""
        return self._layers[-1][0]

    @property
    def format(self) -> str:
        """The format of ``top``."""
        return self._layers[-1][1]

    def push(self) -> Path:
        """Put a new layer on top."""
        layer = self._folder / f"layer-{len(self._layers)}.qcow2"
        run_tool("qemu-img", "create", "-q", "-f", "qcow2", "-b", self.top, "-F", self.format, layer.resolve())
        self._layers.append((layer.resolve(), "qcow2"))
        return layer

    def blockdev(self, node: str, faults: Sequence[Fault] = ()) -> dict[str, object]:
        """The ``-blockdev`` of the top layer, for a machine that writes to it."""
        layer: dict[str, object] = {"driver": self.format, "file": {"driver": "file", "filename": str(self.top)}}
        if not faults:
            return {"node-name": node, **layer}
        rules = [
            {
                "event": "none",
                "iotype": "write",
                "sector": fault.sector,
                "errno": _EIO,
                "once": isinstance(fault, CutAt),
            }
            for fault in faults
        ]
        return {"node-name": node, "driver": "blkdebug", "image": layer, "inject-error": rules}

    def write_zeros(self, offset: int, length: int) -> None:
        """Destroy ``length`` bytes at ``offset`` while the machine is off; both are multiples of 512.

        Raises ToolFailedError, also when a machine is running on it.
        """
        if len(self._layers) == 1:
            self.push()
        said = run_tool("qemu-io", "-f", self.format, "-c", f"write -z {offset} {length}", self.top)
        if f"wrote {length}/" not in said:
            raise ImageError(self.top, f"{length} bytes at {offset} could not be written: {said.strip()}")

    def copy_tables(self, target: Path) -> Path:
        """A sparse raw image of the same size with the first MiB and the end, where the tables are.

        The machine may be running, but then it should be held: what it is just writing is seen half.
        """
        head, tail = target.with_suffix(".head"), target.with_suffix(".tail")
        start = (self.size - _BACKUP) // _BLOCK
        self._copy(head, "count=1")
        # To the end: together with skip, count would be the number of the last block.
        self._copy(tail, f"skip={start}")
        with target.open("wb") as file:
            file.truncate(self.size)
            file.write(head.read_bytes())
            file.seek(start * _BLOCK)
            file.write(tail.read_bytes())
        head.unlink()
        tail.unlink()
        return target

    def _copy(self, target: Path, span: str) -> None:
        # Force-share: a running QEMU holds the lock.
        run_tool(
            *("qemu-img", "dd", "-U", "-f", self.format, "-O", "raw"),
            *(f"bs={_BLOCK}", span, f"if={self.top}", f"of={target.absolute()}"),
        )

    def export(self, target: Path) -> Path:
        """The whole disk as a sparse raw image, while the machine is off."""
        part = target.with_name(f".{target.name}.part")
        run_tool("qemu-img", "convert", "-f", self.format, "-O", "raw", self.top, part.resolve())
        part.rename(target)
        return target
