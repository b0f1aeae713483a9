"""QEMU's own format, for libvirt, OpenStack and Proxmox: small without holes, with snapshots.

Not compressed: the file systems in the slots are, and a compressed cluster is unpacked anew by each read. ``qemu-img convert -c``
makes one of ours smaller where it must be sent over a slow line. Nothing in such a file is random or a time (docs/interop/qcow2.txt
of QEMU).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_builder.cache import replacing
from image_builder.output.output import Output

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.run import Runner

_OPTIONS = "compat=1.1,cluster_size=65536,lazy_refcounts=off"
"""The defaults of QEMU since 1.7, said here so that another default in a later one makes no other bytes."""


def _write(runner: Runner, raw: Path, target: Path, *, epoch: int) -> None:  # noqa: ARG001  (there is no time in it)
    with replacing(target) as temporary:
        runner.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-o", _OPTIONS, raw, temporary])


QCOW2 = Output("qcow2", ".qcow2", ("qemu-img",), "for QEMU, libvirt, OpenStack and Proxmox", _write)
