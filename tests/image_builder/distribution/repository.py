"""A small package source of its own, for the real apt and the real dpkg-deb: no network, no root."""

from __future__ import annotations

import hashlib
import subprocess
from typing import TYPE_CHECKING

from image_builder.run import SystemRunner

if TYPE_CHECKING:
    from pathlib import Path

KERNEL = "linux-image-6.1.0-9-cloud-amd64"
STANDARD = [
    *("busybox-static", "libc6", "libexpat1", "libffi8", "libpython3.11-minimal", "libpython3.11-stdlib", KERNEL),
    *("python3-click", "python3-construct", "python3-crcmod", "python3.11-minimal", "systemd-boot-efi", "zlib1g"),
]


class Repository:
    """Packages that apt knows from a ``Packages`` file in a folder, and from nowhere else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pool = folder / "pool"
        self._entries: dict[str, str] = {}
        for name in ("pool", "lists/partial", "apt/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(f"deb [trusted=yes] file:{self.pool} ./\n")
        (folder / "apt.conf").write_text(
            f'APT::Architecture "amd64";\n'
            f'Dir::State "{folder}/apt";\n'
            f'Dir::State::lists "{folder}/lists";\n'
            f'Dir::State::status "{folder}/status";\n'
            f'Dir::Cache "{folder}/apt";\n'
            f'Dir::Etc::sourcelist "{folder}/sources.list";\n'
            'Dir::Etc::sourceparts "/dev/null";\n'
        )

    def runner(self) -> SystemRunner:
        """A runner whose apt knows this source only."""
        return SystemRunner({"PATH": "/usr/bin:/bin", "APT_CONFIG": str(self.folder / "apt.conf")})

    def add(self, name: str, version: str = "1.0", *, depends: str = "", **files: str) -> Path:
        """Build a package with these files in /usr/share; a newer version replaces the older one."""
        tree = self.folder / "build" / name
        (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
        control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: nobody\nDescription: a test\n"
        control += f"Depends: {depends}\n" if depends else ""
        (tree / "DEBIAN/control").write_text(control)
        (tree / "usr/share").mkdir(parents=True, exist_ok=True)
        for file, text in {name: version, **files}.items():
            (tree / "usr/share" / file).write_text(text)
        archive = self.pool / f"{name}_{version.replace(':', '%3a')}_amd64.deb"
        command = ["dpkg-deb", "--root-owner-group", "-Znone", "-b", str(tree), str(archive)]
        subprocess.run(command, capture_output=True, check=True)
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        self._entries[name] = f"{control}Filename: ./{archive.name}\nSize: {archive.stat().st_size}\nSHA256: {digest}\n"
        return archive

    def add_standard(self) -> None:
        """All packages that an image needs."""
        for name in STANDARD:
            self.add(name)
        self.add("linux-image-cloud-amd64", depends=f"{KERNEL} (= 1.0)")
        self.add("python3-minimal", depends="dpkg, python3.11-minimal (>= 1.0)")

    def update(self) -> None:
        """``apt-get update``."""
        (self.pool / "Packages").write_text("\n".join(self._entries.values()))
        self.runner().run(["apt-get", "update"])
