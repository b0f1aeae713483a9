"""Microsoft's older format as Azure takes it: fixed, whole MiB, the disk and behind it a footer of 512 bytes.

Field by field after Microsoft's "Virtual Hard Disk Image Format Specification" 1.0, "Hard Disk Footer Format"; numbers are
big-endian. Written here and not by qemu-img, which would put the present time and a random UUID into it.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING
from uuid import UUID

from image_builder.cache import replacing
from image_builder.definition.identity import derived_uuid
from image_builder.output.blocks import content_digest
from image_builder.output.grow import check_sectors, grown_copy
from image_builder.output.output import Output

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.run import Runner

_MIB = 1 << 20
_FOOTER = Struct(">8sIIQI4sI4sQQHBBII16sB427x")
_CHECKSUM = slice(64, 68)
_RESERVED_FEATURE = 0x00000002
_VERSION = 0x00010000
_NO_NEXT = 0xFFFFFFFFFFFFFFFF
_FIXED = 2
_EPOCH_2000 = 946684800
"""Unix seconds of 2000-01-01 00:00:00 UTC, from which time stamps count."""
_CREATOR, _CREATOR_VERSION, _CREATOR_HOST = b"qem2", 0x00050003, b"Wi2k"
"""What ``qemu-img -o force_size`` writes: with this mark and the largest geometry readers take the size and not the geometry."""
_GEOMETRY = (65535, 16, 255)
"""Cylinders, heads, sectors: the largest, for the same reason. Only an old BIOS looks at it."""


def footer(size: int, time: int, unique: UUID) -> bytes:
    """The footer of a fixed disk of ``size`` bytes made at ``time`` (Unix seconds)."""
    stamp = max(0, time - _EPOCH_2000) & 0xFFFFFFFF
    head = (b"conectix", _RESERVED_FEATURE, _VERSION, _NO_NEXT, stamp, _CREATOR, _CREATOR_VERSION, _CREATOR_HOST)
    block = bytearray(_FOOTER.pack(*head, size, size, *_GEOMETRY, _FIXED, 0, unique.bytes, 0))
    # The one's complement of the sum of all bytes, those of the checksum taken for zeros.
    block[_CHECKSUM] = (~sum(block) & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(block)


def _write(runner: Runner, raw: Path, target: Path, *, epoch: int) -> None:  # noqa: ARG001  (no program)
    check_sectors(raw, "vhd")
    with replacing(target) as temporary:
        grown_copy(raw, temporary, _MIB, "vhd")
        unique = UUID(derived_uuid(content_digest(temporary), "vhd"))
        size = temporary.stat().st_size
        with temporary.open("ab") as file:
            file.write(footer(size, epoch, unique))


VHD = Output("vhd", ".vhd", (), "for Azure and Hyper-V (fixed, whole MiB)", _write)
