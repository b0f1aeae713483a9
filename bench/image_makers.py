"""Those who make the image that ``bench.image`` measures: the bare tools, slotboot, and its peers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from bench.installed import install
from bench.measured import Cost, measured
from image_builder.cache import cache_root, publish_file
from image_builder.disk.sparse import copy_into
from image_builder.run import SystemRunner

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MIB = 1 << 20
ESP, SLOT, STATE = 64, 512, 256
"""MiB of the partitions."""
FILESYSTEMS = ("squashfs", "ext4", "erofs")
PEERS = ("genimage", "systemd-repart")
_PACKAGES = "systemd-sysv,udev,dbus,python3-minimal,login,iputils-ping"
_UUID = "00000000-0000-4000-8000-000000000000"
_EPOCH = "315532800"
_CACHED = ("initramfs", "python", "target", "uki")
_PROGRAM = "EFI/BOOT/BOOTX64.EFI"

_DEFINITION = f"""
[image]
name = "bench"
seed = "{{seed}}"

[boot]
kind = "uki"

[slot.base]
kind = "tree"
source = "tree"
filesystem = "{{filesystem}}"

[slot.small]
kind = "tree"
source = "small"
filesystem = "{{filesystem}}"

[[partition]]
label = "EFI-SYSTEM"
type = "esp"
size = "{ESP}M"
content = "esp"

[[partition]]
label = "USR-A"
type = "coreos-usr"
size = "{SLOT}M"
content = "slot.base"
priority = 1
successful = true

[[partition]]
label = "USR-B"
type = "coreos-usr"
size = "{SLOT}M"
content = "{{second}}"

[[partition]]
label = "STATE"
type = "linux-data"
size = "{STATE}M"
content = "state"
"""
_MKFS = {
    "squashfs": (
        *("mksquashfs", "tree", "slot", "-noappend", "-no-recovery", "-no-progress", "-quiet", "-exit-on-error"),
        *("-b", "131072", "-noI", "-noX"),
        *("-comp", "zstd", "-Xcompression-level", "3", "-xattrs"),
    ),
    "ext4": (
        *("mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-O", "^has_journal,^resize_inode", "-U", _UUID),
        *(
            "-E",
            f"hash_seed={_UUID},root_owner=0:0,lazy_itable_init=0",
            "-N",
            "10000",
            "-d",
            "tree",
            "slot",
            f"{SLOT}M",
        ),
    ),
    "erofs": ("mkfs.erofs", "--quiet", f"-T{_EPOCH}", f"-U{_UUID}", "-zlz4", "slot", "tree"),
}
_MKFS_STATE = (
    *("mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-L", "STATE", "-U", _UUID),
    *("-E", f"hash_seed={_UUID},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0", "state", f"{STATE}M"),
)
"""The options of ``image_builder.filesystem``."""
_GENIMAGE = f"""
image esp {{{{
  vfat {{{{ file {_PROGRAM} {{{{ image = "boot.efi" }}}} }}}}
  size = {ESP}M
}}}}
image slot {{{{ {{slot}} }}}}
image state {{{{
  ext4 {{{{ use-mke2fs = true }}}}
  size = {STATE}M
  empty = true
}}}}
image disk.raw {{{{
  hdimage {{{{ partition-table-type = gpt }}}}
  partition EFI-SYSTEM {{{{ image = esp partition-type-uuid = U }}}}
  partition USR-A {{{{ image = slot size = {SLOT}M partition-type-uuid = L }}}}
  partition USR-B {{{{ size = {SLOT}M partition-type-uuid = L }}}}
  partition STATE {{{{ image = state partition-type-uuid = L }}}}
}}}}
"""
_GENIMAGE_SLOT = {
    "squashfs": 'squashfs { compression = zstd extraargs = "-Xcompression-level 3 -noI -noX" }',
    "ext4": f'ext4 {{ use-mke2fs = true extraargs = "-b 4096 -m 0 -N 10000" }} size = {SLOT}M',
}
_REPART = (
    f"Type=esp\nSizeMinBytes={ESP}M\nSizeMaxBytes={ESP}M\nCopyBlocks={{here}}/esp\n",
    f"Type=linux-generic\nSizeMinBytes={SLOT}M\nSizeMaxBytes={SLOT}M\nFormat=ext4\nCopyFiles={{here}}/tree:/\n",
    f"Type=linux-generic\nSizeMinBytes={SLOT}M\nSizeMaxBytes={SLOT}M\n",
    f"Type=linux-generic\nSizeMinBytes={STATE}M\nSizeMaxBytes={STATE}M\nFormat=ext4\n",
)
"""Its ESP is finished: of FAT it can only make one that the kernel can mount. Of squashfs it makes gzip only, of erofs none."""


Make: TypeAlias = Callable[[int], Cost]
"""Makes the image anew; the number is that of the round."""


class Workplace:
    """The tree, slotboot as it is installed, and a cache without slots."""

    def __init__(self, folder: Path) -> None:
        """``folder`` is empty. Raises what the making of the tree and the installation raise."""
        self.folder = folder
        self._tools = SystemRunner()
        self._builder = install(folder) / "image-builder"
        _unpack(_tarball(), folder / "tree")
        small = folder / "small"
        (small / "sbin").mkdir(parents=True)
        (small / "etc").mkdir()
        (small / "etc/os-release").write_text("ID=small\n")
        (small / "sbin/init").write_text("#!/bin/sh\n")
        (folder / "cache").mkdir()
        for name in _CACHED:
            (cache_root() / name).mkdir(parents=True, exist_ok=True)
            (folder / "cache" / name).symlink_to(cache_root() / name)
        self._build("squashfs", 0, "slot.small")
        with (folder / "boot.efi").open("wb") as file:
            image = f"{folder}/out/bench.raw@@1M"
            subprocess.run([self._tools.tool("mcopy"), "-i", image, f"::/{_PROGRAM}", "-"], check=True, stdout=file)

    def makers(self, filesystem: str) -> dict[str, Make]:
        """Who can make it, in the order in which they take turns."""
        found: dict[str, Make] = {
            "tools": lambda _: self.tools(filesystem),
            "slotboot": lambda number: self._build(filesystem, number, "empty"),
            "again": lambda number: self.again(filesystem, number),
        }
        if shutil.which("genimage") and filesystem in _GENIMAGE_SLOT:
            found["genimage"] = lambda _: self.genimage(filesystem)
        if shutil.which("systemd-repart") and filesystem == "ext4" and os.geteuid() == 0:
            found["systemd-repart"] = lambda _: self.repart()
        return found

    def tools(self, filesystem: str) -> Cost:
        """The bare programs, and the copying."""
        return self._esp() + self._run(_MKFS[filesystem]) + self._run(_MKFS_STATE) + self._assembled()

    def again(self, filesystem: str, number: int) -> Cost:
        """A build where the first slot is in the cache, and the second one has changed."""
        (self.folder / "small/etc/os-release").write_text(f"ID=small\nVERSION={filesystem} {number}\n")
        return self._build(filesystem, number, "slot.small")

    def genimage(self, filesystem: str) -> Cost:
        """Genimage, as it wants to be used."""
        self._clear("tmp", "genimage")
        (self.folder / "genimage.cfg").write_text(_GENIMAGE.format(slot=_GENIMAGE_SLOT[filesystem]))
        folders = ("--rootpath", "tree", "--tmppath", "tmp", "--inputpath", ".", "--outputpath", "genimage")
        cost = self._run(("genimage", *folders, "--config", "genimage.cfg"))
        return cost + self._timed(lambda: _flush(self.folder / "genimage/disk.raw"))

    def repart(self) -> Cost:
        """systemd-repart, on an image file."""
        self._clear("repart", "repart.raw")
        (self.folder / "repart").mkdir()
        for number, partition in enumerate(_REPART):
            text = f"[Partition]\n{partition.format(here=self.folder)}"
            (self.folder / "repart" / f"{number}.conf").write_text(text)
        options = ("--definitions=repart", "--empty=create", "--size=auto", "--dry-run=no", "--pretty=no")
        cost = self._esp() + self._run(("systemd-repart", *options, "repart.raw"))
        return cost + self._timed(lambda: _flush(self.folder / "repart.raw"))

    def _esp(self) -> Cost:
        self._clear("esp", "slot", "state")
        _sparse(self.folder / "esp", ESP * MIB)
        programs = [
            ("mkfs.fat", "--invariant", "-F", "32", "-i", "00000000", "esp"),
            *(("mmd", "-i", "esp", f"::/{name}") for name in ("EFI", "EFI/BOOT")),
            ("mcopy", "-i", "esp", "boot.efi", f"::/{_PROGRAM}"),
        ]
        return sum((self._run(argv) for argv in programs), Cost(0.0, 0.0, 0))

    def _assembled(self) -> Cost:
        disk = self.folder / "tools.raw"

        def copy() -> None:
            _sparse(disk, (ESP + 2 * SLOT + STATE + 2) * MIB)
            for name, place in (("esp", 1), ("slot", 1 + ESP), ("state", 1 + ESP + 2 * SLOT)):
                copy_into(self.folder / name, disk, place * MIB)

        new = [f"--new={number}:0:+{size}M" for number, size in enumerate((ESP, SLOT, SLOT, STATE), 1)]
        cost = self._timed(copy) + self._run(("sgdisk", *new, "--typecode=1:ef00", "tools.raw"))
        return cost + self._timed(lambda: _flush(disk))

    def _build(self, filesystem: str, number: int, second: str) -> Cost:
        os.sync()
        text = _DEFINITION.format(filesystem=filesystem, seed=f"{filesystem} {number}", second=second)
        (self.folder / "bench.toml").write_text(text)
        return self._run(
            (str(self._builder), "build", "bench.toml", "-o", "out"), SLOTBOOT_CACHE=str(self.folder / "cache")
        )

    def _run(self, argv: Sequence[str], **environment: str) -> Cost:
        words = [self._tools.tool(argv[0]), *argv[1:]]
        fixed = {"SOURCE_DATE_EPOCH": _EPOCH, "MTOOLS_SKIP_CHECK": "1", "TZ": "UTC", "LC_ALL": "C"}
        return measured(words, self.folder, {**fixed, **environment})

    def _timed(self, work: Callable[[], object]) -> Cost:
        begin, cpu = time.monotonic(), time.process_time()
        work()
        return Cost(time.monotonic() - begin, time.process_time() - cpu, 0)

    def _clear(self, *names: str) -> None:
        for name in names:
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        os.sync()


def _tarball() -> Path:
    """A Debian with systemd, in the cache; made once, in some minutes."""

    def make(output: Path) -> None:
        sys.stderr.write("bench: making a Debian tree, once\n")
        left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale")]
        options = ("--quiet", "--variant=minbase", "--format=tar", f"--include={_PACKAGES}", *left_out)
        subprocess.run(["mmdebstrap", *options, "bookworm", str(output)], check=True, stdin=subprocess.DEVNULL)

    return publish_file(cache_root() / "bench" / "debian.tar", make)


def _unpack(archive: Path, folder: Path) -> None:
    """As root with owners; as somebody else's own without device nodes, which nobody else can make."""
    folder.mkdir()
    subprocess.run(["tar", "-C", folder, "--exclude=./dev/*", "-xpf", archive], check=True)


def _sparse(path: Path, size: int) -> None:
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
