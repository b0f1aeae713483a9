"""What the selector adds to a boot: ``python -m bench.boot [--json]`` (``script/bench boot``).

One kernel, one virtual machine, one disk; only the initramfs differs. The machine counts instructions (``-icount shift=0``: one
instruction is one nanosecond of guest time), so the kernel's own time stamps are instruction counts that other work on the
host does not disturb. All initramfs have the same modules and the same ``/init``; the line that calls the selector is what is
replaced:

- none: a fixed slot is mounted
- cgpt: Debian's cgpt looks for the slots, reads one's attributes and writes one; then the slot is mounted
- interpreter: Python starts and ends; then a fixed slot is mounted
- slotboot: the selector, as an image without ``hand-over = "kexec"`` has it; its try is durable before it says which slot it boots

Everything counts, to the slot's init: what comes after the decision too, when switch_root deletes the initramfs.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.options import wants_json
from gptlib import Attributes, Disk, Guid, Partition, Table, type_guid
from image_builder.boot.cpio import Entry, file, write_archive
from image_builder.boot.initramfs import DEFAULT_MODULES, initramfs_entries
from image_builder.cache import Cache, cache_root
from image_builder.distribution.elf import library_closure, linker_of
from image_builder.distribution.kernel import target_kernel
from image_builder.distribution.packages import TargetPackages
from image_builder.distribution.python import boot_python
from image_builder.distribution.sources import package_folder
from image_builder.errors import BuildError
from image_builder.filesystem.erofs import write_erofs
from image_builder.filesystem.source import FolderSource
from image_builder.progress import progress_for
from image_builder.run import SystemRunner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from image_builder.distribution.kernel import Kernel

ROUNDS = 4
"""Of which the least counts: the disk of a busy host only ever adds to what is waited for."""
LIMIT = 0.15
"""The share of kernel start to slot init that the selector may add, unpacking and clearing away included."""
_MIB, _SECTOR = 1 << 20, 512
_CALL = re.compile(r"^/usr/bin/python3 .*main\(\)'", re.MULTILINE)
_FIXED = "mount -t erofs -o ro /dev/vda3 /slot"
_CGPT = (
    "{ cgpt find -n -t 5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6 /dev/vda && cgpt show -i 3 -T /dev/vda && "
    "cgpt add -i 3 -T 14 /dev/vda && sync; } >/dev/null 2>&1; " + _FIXED
)
_CALLS = {"none": _FIXED, "cgpt": _CGPT, "interpreter": f"/usr/bin/python3 -I -S -B -c pass; {_FIXED}", "slotboot": ""}
_SLOT_INIT = '#!/bin/busybox sh\necho "<5>bench: slot" >/dev/kmsg\n/bin/busybox poweroff -f\n'
_STAMP = re.compile(rb"\[ *(\d+\.\d+)\] (.*)")
_APPLETS = ("cat", "insmod", "mount", "reboot", "setsid", "sh", "sleep", "switch_root", "sync", "umount")
_CMDLINE = "console=ttyS0 gpt panic=-1"
_UUID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Row:
    """One initramfs. ``unpack``, ``choose``, ``leave`` and ``total`` are millions of instructions in the guest.

    ``choose``: from the call in ``/init`` to the mounted slot. ``leave``: from there to the slot's init, deleting the initramfs
    included. ``total``: from the start of the kernel to the slot's init. ``added`` is the share of ``total`` above that of
    ``none`` with the same compression.
    """

    initramfs: str
    compression: str
    raw_bytes: int
    compressed_bytes: int
    unpack: float
    choose: float
    leave: float
    total: float
    added: float


class Bench:
    """The kernel, the disk and the runner that all measurements share."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runner = folder, SystemRunner()
        self.cache = Cache(cache_root())
        self.packages = TargetPackages(self.runner, self.cache, progress=progress_for())
        self.kernel: Kernel = target_kernel(self.packages)
        self.busybox = self.packages.package("busybox-static").root / "bin/busybox"
        self.slot = self._make_slot()

    def _make_slot(self) -> Path:
        tree = self.folder / "slot"
        for name in ("bin", "dev", "etc", "proc", "run", "sbin", "sys"):
            (tree / name).mkdir(parents=True)
        (tree / "bin/busybox").write_bytes(self.busybox.read_bytes())
        (tree / "bin/busybox").chmod(0o755)
        (tree / "etc/os-release").write_text("VERSION=1\n")
        (tree / "sbin/init").write_text(_SLOT_INIT)
        (tree / "sbin/init").chmod(0o755)
        output = self.folder / "slot.erofs"
        source = FolderSource(tree, owners="root", xattrs=False)
        write_erofs(self.runner, source, output, uuid=_UUID, compression="none", epoch=0)
        return output

    def make_disk(self) -> Path:
        """A fresh disk: USR-A is good, USR-B is armed with 15 tries."""
        path = self.folder / "disk.raw"
        path.unlink(missing_ok=True)
        size = 2 + 2 * 4
        with path.open("wb") as stream:
            stream.truncate(size * _MIB)
        table = Table.new(total_sectors=size * _MIB // _SECTOR, disk_guid=Guid(bytes(range(16))))
        armed = Attributes().with_slot(priority=2, tries=15)
        good = Attributes().with_slot(priority=1, successful=True)
        for number, (label, bits) in enumerate((("USR-A", good), ("USR-B", armed)), 2):
            first = (1 + 4 * (number - 2)) * _MIB // _SECTOR
            unique = Guid(bytes([number] * 16))
            partition = Partition(type_guid("coreos-usr"), unique, first, first + 4 * _MIB // _SECTOR - 1, bits, label)
            table = table.add(partition, number)
            with path.open("r+b") as stream:
                stream.seek(first * _SECTOR)
                stream.write(self.slot.read_bytes())
        with Disk.open(path, write=True) as disk:
            disk.create(table)
        return path

    def initramfs(self, name: str) -> bytes:
        """The archive of one of the four, not compressed."""
        init = self.folder / f"{name}.init"
        init.write_text(_measured(package_folder("bootselect") / "initramfs/init", _CALLS[name]))
        python = boot_python(self.runner, self.packages, self.cache, kexec=False)
        entries = initramfs_entries(
            python=python,
            kernel=self.kernel,
            busybox=self.busybox,
            applets=_APPLETS,
            boot_conf={"policy": "gptprio"},
            modules=DEFAULT_MODULES,
            init=init,
        )
        if name in {"none", "cgpt"}:
            kept = {str(path.relative_to(python.root)) for path in python.root.rglob("*")}
            entries = [entry for entry in entries if entry.path not in kept]
        if name == "cgpt":
            entries += self._program("cgpt", "usr/bin/cgpt")
        stream = io.BytesIO()
        write_archive(stream, entries)
        return stream.getvalue()

    def _program(self, package: str, place: str) -> Iterable[Entry]:
        root = self.packages.tree([package, "libc6", "libuuid1"])
        program = root / place
        folders = [root / "lib/x86_64-linux-gnu", root / "usr/lib/x86_64-linux-gnu"]
        linker = linker_of(self.runner, program).lstrip("/")
        yield file("bin/cgpt", program, 0o755)
        yield file(linker, (root / linker).resolve(), 0o755)
        for library in library_closure(self.runner, [program], folders):
            if library.name != Path(linker).name:
                yield file(f"usr/lib/x86_64-linux-gnu/{library.name}", library.resolve(), 0o755)

    def compress(self, archive: bytes, how: str) -> Path:
        """The archive as the kernel takes it."""
        output = self.folder / f"initramfs.{how}"
        output.unlink(missing_ok=True)
        argv: dict[str, list[str | Path]] = {
            "zstd": ["zstd", "-q", "-19", "-T1", "-o", output],
            "lz4": ["lz4", "-q", "-l", "-9", "-", output],
        }
        self.runner.run(argv[how], stdin=archive)
        return output

    def boot(self, initramfs: Path) -> dict[str, float]:
        """Millions of instructions at each message that matters."""
        argv = [
            *("qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "512"),
            *("-icount", "shift=0,sleep=on", "-nodefaults", "-nic", "none", "-display", "none", "-serial", "stdio"),
            *("-no-reboot", "-kernel", str(self.kernel.image), "-initrd", str(initramfs), "-append", _CMDLINE),
            *("-drive", f"file={self.make_disk()},format=raw,if=virtio,cache=unsafe"),
        ]
        console = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=300).stdout
        return _stamps(console)


def _measured(init: Path, call: str) -> str:
    """The ``/init`` of bootselect ``/init`` with a mark before and after its choice; ``call`` replaces the selector unless empty."""
    text, count = _CALL.subn(
        lambda found: f'echo "<5>bench: call" >/dev/kmsg; {call or found[0]} && echo "<5>bench: chosen" >/dev/kmsg',
        init.read_text(),
    )
    if count != 1:
        raise SystemExit(f"bench: {init}: the line that calls the selector was not found")
    return text


def _stamps(console: bytes) -> dict[str, float]:
    found: dict[str, float] = {}
    for stamp, message in _STAMP.findall(console.replace(b"\r", b"")):
        for name, start in _MESSAGES.items():
            if message.startswith(start):
                found.setdefault(name, float(stamp) * 1000)
    missing = _MESSAGES.keys() - found.keys()
    if missing:
        tail = b"\n".join(console.splitlines()[-15:]).decode(errors="replace")
        raise SystemExit(f"bench: the boot did not come to its end ({', '.join(sorted(missing))} missing):\n{tail}")
    return found


_MESSAGES = {
    "unpacking": b"Trying to unpack rootfs image",
    "unpacked": b"Freeing initrd memory",
    "call": b"bench: call",
    "chosen": b"bench: chosen",
    "slot": b"bench: slot",
}


def measure(folder: Path) -> list[Row]:
    """All rows, those without a selector first."""
    bench = Bench(folder)
    rows: list[Row] = []
    for compression in ("zstd", "lz4"):
        floor = 0.0
        for name in _CALLS:
            archive = bench.initramfs(name)
            packed = bench.compress(archive, compression)
            boots = [bench.boot(packed) for _ in range(ROUNDS)]
            unpack = min(boot["unpacked"] - boot["unpacking"] for boot in boots)
            choose = min(boot["chosen"] - boot["call"] for boot in boots)
            leave = min(boot["slot"] - boot["chosen"] for boot in boots)
            total = min(boot["slot"] for boot in boots)
            floor = floor or total
            added = total / floor - 1
            rows.append(
                Row(name, compression, len(archive), packed.stat().st_size, unpack, choose, leave, total, added)
            )
            sys.stderr.write(f"bench: {name}, {compression}: {total:.0f} million instructions\n")
    return rows


def main() -> None:
    """Entry point."""
    as_json = wants_json(
        "boot", "What the selector adds to a boot, in instructions of the guest, beside Debian's cgpt."
    )
    try:
        with tempfile.TemporaryDirectory(prefix="slotboot-bench-") as folder:
            rows = measure(Path(folder))
    except (BuildError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"bench: {error}")
    if as_json:
        sys.stdout.write(json.dumps({"limit": LIMIT, "rows": [asdict(row) for row in rows]}, indent=2) + "\n")
        return
    heading = f"{'initramfs':<12} {'packed':<6} {'raw MB':>7} {'MB':>6} {'unpack Mi':>10} {'choose Mi':>10} {'leave Mi':>9} {'total Mi':>9} {'added':>7}"
    sys.stdout.write(heading + "\n")
    for row in rows:
        sys.stdout.write(
            f"{row.initramfs:<12} {row.compression:<6} {row.raw_bytes / 1e6:>7.1f} {row.compressed_bytes / 1e6:>6.2f} "
            f"{row.unpack:>10.1f} {row.choose:>10.1f} {row.leave:>9.1f} {row.total:>9.1f} {row.added:>+7.1%}\n"
        )
    sys.stdout.write(f"\nThe selector may add {LIMIT:.0%}. Mi: millions of instructions in the guest.\n")


if __name__ == "__main__":
    main()
