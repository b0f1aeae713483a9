"""What ``bench.update`` installs: two Debian slots, and what is published of them.

The old one is the current point release of Debian 12, the new one the same packages with all updates that came since (security
and updates), so the difference is what a fleet would get on the day of the measurement. Uncompressed erofs, as image-builder makes it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from image_builder.api import build_artifact
from image_builder.cache import cache_root, publish_file
from update_agent.payload import delta
from update_agent.payload.frames import write_frames

if TYPE_CHECKING:
    from pathlib import Path

_PACKAGES = (
    *("systemd-sysv", "udev", "dbus", "libpam-systemd", "openssh-server", "ca-certificates", "curl", "python3", "perl", "git"),
    *("iproute2", "nftables", "e2fsprogs", "gnupg", "vim", "rsync", "libxml2", "sudo", "bind9-dnsutils", "tcpdump", "wget"),
    *("less", "openssl", "postgresql-client", "nginx-light"),
)  # fmt: skip
_MIRROR = "http://deb.debian.org"
_SOURCES = {
    "old": (f"deb {_MIRROR}/debian bookworm main",),
    "new": (
        f"deb {_MIRROR}/debian bookworm main",
        f"deb {_MIRROR}/debian bookworm-updates main",
        f"deb {_MIRROR}/debian-security bookworm-security main",
    ),
}
_DEFINITION = """
[image]
name = "bench"

[slot.usr]
kind = "tar"
source = "{tarball}"
compression = "none"

[[partition]]
label = "USR-A"
type = "coreos-usr"
size = "auto"
content = "slot.usr"
"""


@dataclass(frozen=True)
class Images:
    """``folder`` has ``old.slot``, ``new.slot``, and what is published; ``packages`` are those of the new one, ``changed`` differ."""

    folder: Path
    packages: int
    changed: int

    @property
    def old(self) -> Path:
        """The old slot."""
        return self.folder / "old.slot"

    @property
    def new(self) -> Path:
        """The new slot."""
        return self.folder / "new.slot"

    def size(self, *names: str) -> int:
        """Bytes of files together."""
        return sum((self.folder / name).stat().st_size for name in names)


def make_images(folder: Path) -> Images:
    """Both slots in a folder, with the frames of the new one and the difference. Raises what the tools and the builder raise."""
    packages = {}
    for name in _SOURCES:
        tarball = _tarball(name)
        packages[name] = _packages(tarball)
        (folder / f"{name}.toml").write_text(_DEFINITION.format(tarball=tarball))
        made = build_artifact(folder / f"{name}.toml", folder / f"out-{name}", version=name)
        made.slot.rename(folder / f"{name}.slot")
    _publish(folder)
    changed = packages["old"].items() ^ packages["new"].items()
    return Images(folder, len(packages["new"]), len({name for name, _ in changed}))


def _tarball(name: str) -> Path:
    """A Debian in the cache; made once, in some minutes."""

    def make(output: Path) -> None:
        sys.stderr.write(f"bench: making the {name} Debian, once\n")
        left_out = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "locale")]
        options = ("--quiet", "--variant=minbase", "--format=tar", f"--include={','.join(_PACKAGES)}", *left_out)
        argv = ["mmdebstrap", *options, "bookworm", str(output), *_SOURCES[name]]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)

    return publish_file(cache_root() / "bench" / f"update-{name}.tar", make)


def _packages(tarball: Path) -> dict[str, str]:
    """Names and versions."""
    with tarfile.open(tarball) as archive:
        status = archive.extractfile("./var/lib/dpkg/status")
        text = "" if status is None else status.read().decode()
    return dict(re.findall(r"^Package: (\S+)\n(?:\S.*\n| .*\n)*?Version: (\S+)$", text, re.MULTILINE))


def _publish(folder: Path) -> None:
    with (folder / "new.slot").open("rb") as new, (folder / "full.frames").open("wb") as blob:
        (folder / "full.index").write_bytes(write_frames(new, blob).index.encode())
    with (
        (folder / "old.slot").open("rb") as old,
        (folder / "new.slot").open("rb") as new,
        (folder / "delta.blob").open("wb") as blob,
    ):
        (folder / "delta.index").write_bytes(delta.make(old, new, blob).index.encode())
