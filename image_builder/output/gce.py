"""What Google's Compute Engine imports: ``disk.raw``, whole GiB, in a gzip'd tar of the oldgnu kind with GNU's sparse files.

Google's "Import a disk image manually" makes it with ``tar --format=oldgnu -Sczf``.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from image_builder.cache import replacing, working_folder
from image_builder.output.grow import check_sectors, grown_copy
from image_builder.output.output import Output
from image_builder.output.sparse_tar import write_sparse_tar

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.run import Runner

_GIB = 1 << 30
_MEMBER = "disk.raw"
_LEVEL = 6
"""gzip's own default; 9 takes three times as long for a hundredth less."""


def _write(runner: Runner, raw: Path, target: Path, *, epoch: int) -> None:  # noqa: ARG001  (no program)
    check_sectors(raw, "gce")
    with replacing(target) as temporary, working_folder(temporary.parent) as folder:
        grown_copy(raw, folder / _MEMBER, _GIB, "gce")
        with (
            temporary.open("wb") as file,
            gzip.GzipFile("", "wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as packed,
        ):
            write_sparse_tar(folder / _MEMBER, _MEMBER, packed, epoch=epoch)


GCE = Output("gce", ".tar.gz", (), "for Google Compute Engine (disk.raw in a tar.gz, whole GiB)", _write)
