"""Our code, broken on purpose, in a guest: how ``gptlib`` flushes and in which order it writes. Tests that find nothing wrong are wrong."""

from __future__ import annotations

import io
import marshal
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import gptlib.linux.device
from image_builder.boot.cpio import file, write_archive

if TYPE_CHECKING:
    from qemu_tests.harness.hardware import DirectKernel

NO_FLUSH = "device.FileDevice.flush = lambda self: None"
_COLLECT = """
writes, write, flush = [], device.BlockDevice.write, device.FileDevice.flush
device.BlockDevice.write = lambda self, offset, data: writes.append((offset, bytes(data)))
device.FileDevice.flush = lambda self: None
def close(self, close=device.FileDevice.close):
    {order}
    writes.clear()
    flush(self)
    close(self)
device.FileDevice.close = close
"""
ONE_FLUSH = _COLLECT.format(order="[write(self, *one) for one in writes]")
"""All flushes of a write of the table are one, behind it."""
HEADERS_FIRST = _COLLECT.format(
    order="""is_header = lambda one: one[0] in (512, self.size - 512)
    for group in ([o for o in writes if is_header(o)], [o for o in writes if not is_header(o)]):
        [write(self, *one) for one in group]
        flush(self)"""
)
"""Both headers, a flush, then the entries."""
WRONG = {"one flush, behind all": ONE_FLUSH, "headers before the entries": HEADERS_FIRST}
_DEVICE = "gptlib.linux.device"
_MODULES = {"bootselect": "bootselect.cli.main", "gptctl": "gptlib.cli.main", "updatectl": "update_agent.cli.main"}


def mutated(program: str, mutation: str, *words: str) -> str:
    """A shell command: the program of the slot with ``mutation`` applied to ``gptlib.linux.device`` before it begins."""
    module = _MODULES[program]
    code = f"import sys\nfrom gptlib.linux import device\n{mutation}\nfrom {module} import main\nsys.exit(main())\n"
    return shlex.join(["python3", "-c", code, *words])


def mutated_selector(kernel: DirectKernel, mutation: str, folder: Path) -> DirectKernel:
    """The kernel with an initramfs whose selector writes to the disk with ``mutation``.

    The module is compiled by the Python that runs this, which has to be the one of the image's distribution.
    """
    packed = kernel.initramfs.read_bytes()
    unpacked = subprocess.run(["lz4", "-dc", str(kernel.initramfs)], capture_output=True, check=True).stdout
    found = re.search(rb"usr/lib/python3\.(\d+)/\w+\.bundle(?=\0)", unpacked)
    if found is None or int(found.group(1)) != sys.version_info.minor:
        raise LookupError(f"no bundle of modules of Python 3.{sys.version_info.minor} in {kernel.initramfs}")
    name = found.group().decode()
    argv = ["cpio", "--extract", "--to-stdout", "--quiet", name]
    modules = marshal.loads(subprocess.run(argv, input=unpacked, capture_output=True, check=True).stdout)  # noqa: S302  (our own)
    original = Path(gptlib.linux.device.__file__).read_text()
    source = f"{original}\nimport sys\ndevice = sys.modules[__name__]\n{mutation}\n"
    package, _ = modules[_DEVICE]
    modules[_DEVICE] = (package, compile(source, "device.py", "exec", dont_inherit=True))
    archive = io.BytesIO()
    write_archive(archive, [file(name, marshal.dumps(modules))])
    more = subprocess.run(["lz4", "-l", "-c"], input=archive.getvalue(), capture_output=True, check=True).stdout
    target = folder / "initramfs"
    target.write_bytes(packed + more)
    return replace(kernel, initramfs=target)
