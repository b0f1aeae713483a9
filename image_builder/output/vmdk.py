"""VMware's format, stream-optimized: what vSphere and ESXi import (OVF), VirtualBox too, and the importers of the clouds.

The other one-file kind, monolithicSparse, belongs to the hosted products (Workstation, VirtualBox); ESXi does not run it. A
stream-optimized disk is compressed and is written once: all of them convert it to a kind of theirs when they import it.

Places are those of VMware's "Virtual Disk Format 5.0", little-endian, in sectors of 512 bytes where they are counted.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import TYPE_CHECKING

from image_builder.cache import replacing, working_folder
from image_builder.output.blocks import content_digest
from image_builder.output.errors import OutputFormatError
from image_builder.output.grow import SECTOR, check_sectors
from image_builder.output.output import Output

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.run import Runner

_OPTIONS = "subformat=streamOptimized,adapter_type=lsilogic,hwversion=6"
"""A SCSI disk, which ESXi wants: it would attach one that says "ide" to an IDE controller only."""
_MAGIC = b"KDMV"
_DESCRIPTOR_PLACE = Struct("<28xQQ")
"""Of the SparseExtentHeader: descriptorOffset and descriptorSize."""
_NO_PARENT = 0xFFFFFFFF


def _write(runner: Runner, raw: Path, target: Path, *, epoch: int) -> None:  # noqa: ARG001  (there is no time in it)
    check_sectors(raw, "vmdk")
    identity = int(content_digest(raw)[:8], 16)
    with replacing(target) as temporary, working_folder(temporary.parent) as folder:
        # QEMU writes the name of the file into it, whatever is in that.
        made = folder / "disk.vmdk"
        runner.run(["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", _OPTIONS, raw, made])
        _settle(made, target.name, identity if identity != _NO_PARENT else 0)
        made.rename(temporary)


def _settle(path: Path, name: str, identity: int) -> None:
    """Put into the descriptor what QEMU draws by chance, the CID, and the name that the file will have."""
    with path.open("r+b") as file:
        head = file.read(SECTOR)
        first, sectors = _DESCRIPTOR_PLACE.unpack_from(head)
        file.seek(first * SECTOR)
        # Behind its end stand letters of an older one where QEMU has drawn a shorter CID.
        text, _, _ = file.read(sectors * SECTOR).partition(b"\0")
        text, cids = re.subn(rb"(?m)^CID=[0-9a-f]+$", b"CID=%08x" % identity, text)
        quoted = re.sub(r'["\\\n]', "_", name).encode()
        text, extents = re.subn(rb'(?m)^(RW \d+ SPARSE) ".*"$', lambda found: b'%b "%b"' % (found[1], quoted), text)
        if not head.startswith(_MAGIC) or (cids, extents) != (1, 1) or len(text) > sectors * SECTOR:
            raise OutputFormatError(path, "vmdk", f"qemu-img wrote a descriptor that is not known: {text[:200]!r}")
        file.seek(first * SECTOR)
        file.write(text.ljust(sectors * SECTOR, b"\0"))


VMDK = Output("vmdk", ".vmdk", ("qemu-img",), "for VMware ESXi and vSphere, and VirtualBox (stream-optimized)", _write)
