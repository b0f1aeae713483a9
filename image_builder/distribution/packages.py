"""Packages of the target: fetched with apt, unpacked into the cache, never installed.

apt's own package lists say which versions there are, and apt checks what it downloads against them. The version that was
unpacked first is used until a refresh is asked for: a small file per name, the pin, keeps it. With everything pinned, apt is
not called and no network is needed.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from image_builder.cache import Cache, only_builder, working_folder, write_note
from image_builder.errors import DownloadError, MissingPackageError, NoPackageListsError, ToolFailedError
from image_builder.progress import SilentProgress
from image_builder.room import check_room

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from image_builder.progress import Progress
    from image_builder.run import Runner

_APT = ("-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=2")
"""Downloads as root go into the caller's folder, where apt's own user could not write."""
_LISTED = re.compile(r"^'\S+' (\S+) ([0-9]+)", re.MULTILINE)
"""A line of ``--print-uris``: the address, the file's name and its size."""


@dataclass(frozen=True)
class Package:
    """A package of the target, unpacked under ``root``, which all builds share: read it only.

    ``identity`` is ``name_version_architecture`` and changes whenever the content does.
    """

    name: str
    identity: str
    root: Path

    @property
    def version(self) -> str:
        """The Debian version."""
        return unquote(self.identity.split("_")[1])


class TargetPackages:
    """The packages of one target architecture, by name.

    What an image needs is fetched together the first time that anything is missing, so that parts of one source (the
    interpreter and its library) are of one version.
    """

    def __init__(
        self,
        runner: Runner,
        cache: Cache | Path,
        *,
        architecture: str = "amd64",
        refresh: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """``cache`` is the root of all caches, or what holds it; ``refresh`` looks for newer versions once."""
        self._runner, self.progress = runner, progress or SilentProgress()
        self._cache = Cache.of(cache, progress)
        self._folder = self._cache.root / "target" / architecture
        self.architecture = architecture
        self._stale = refresh

    def package(self, name: str) -> Package:
        """One package. Errors as ``packages``."""
        return self.packages([name])[0]

    def packages(self, names: Iterable[str]) -> list[Package]:
        """These packages, unpacked.

        Raises NoPackageListsError, MissingPackageError, DownloadError and MissingToolError; the cache stays usable.
        """
        wanted = list(dict.fromkeys(names))
        if self._stale or not all(self._pinned(name) for name in wanted):
            self._fetch(wanted)
        found = [self._pinned(name) for name in wanted]
        return [package for package in found if package is not None]

    def identities(self, names: Iterable[str]) -> list[str]:
        """The identities of these packages alone: unlike those of ``packages``, their content is not checked. Errors as there."""
        wanted = list(dict.fromkeys(names))
        known = [self._pin_of(name) for name in wanted]
        if self._stale or not all(identity and self._root(identity).is_dir() for identity in known):
            return [package.identity for package in self.packages(wanted)]
        return known

    def tree(self, names: Iterable[str]) -> Path:
        """One folder that holds the content of all these packages. Errors as ``packages``."""
        packages = self.packages(names)
        digest = hashlib.sha256("\n".join(sorted(package.identity for package in packages)).encode()).hexdigest()

        def merge(folder: Path) -> None:
            for package in packages:
                shutil.copytree(package.root, folder, symlinks=True, dirs_exist_ok=True)

        return self._cache.publish_folder(
            self._folder / "trees" / digest[:32], merge, step="lay the packages of the target over each other"
        )

    def kernel_name(self) -> str:
        """The kernel package behind the distribution's cloud kernel of today, e.g. linux-image-6.1.0-56-cloud-amd64."""
        meta = f"linux-image-cloud-{self.architecture}"
        return self._behind(meta, rf"linux-image-[0-9]\S*-cloud-{self.architecture}")

    def python_version(self) -> str:
        """Of the distribution's default interpreter, e.g. 3.11."""
        return (
            self._behind("python3-minimal", r"python3\.[0-9]+-minimal").removeprefix("python").removesuffix("-minimal")
        )

    def standard(self) -> list[str]:
        """The names of all packages that images are made of."""
        python = self.python_version()
        return [
            self.kernel_name(),
            f"python{python}-minimal",
            f"libpython{python}-minimal",
            f"libpython{python}-stdlib",
            "libc6",
            "zlib1g",
            "libexpat1",
            "libffi8",
            "python3-crcmod",
            "python3-construct",
            "python3-click",
            "busybox-static",
            "systemd-boot-efi",
        ]

    def _pin(self, name: str) -> Path:
        return self._folder / "pins" / name

    def _pin_of(self, name: str) -> str:
        pin = self._pin(name)
        return pin.read_text().strip() if pin.exists() else ""

    def _root(self, identity: str) -> Path:
        return self._folder / "packages" / identity

    def _pinned(self, name: str) -> Package | None:
        identity = self._pin_of(name)
        root = self._root(identity)
        return Package(name, identity, root) if identity and self._cache.intact(root) else None

    def _behind(self, meta: str, pattern: str) -> str:
        """The real package that a meta package depends on."""
        known = self._pin_of(meta)
        if known and not self._stale and self._pinned(known):
            return known
        fields = self._apt(["apt-cache", "show", "--no-all-versions", meta], [meta]).decode(errors="replace")
        depends = " ".join(re.findall(r"^(?:Pre-)?Depends: (.*)$", fields, re.MULTILINE))
        match = re.search(rf"(?:^|[\s,])({pattern})(?=[\s,]|$)", depends)
        if match is None:
            raise MissingPackageError(
                meta, f"it depends on no package like {pattern!r} but on {depends or 'nothing'!r}"
            )
        write_note(self._pin(meta), match[1])
        return match[1]

    def _fetch(self, names: Sequence[str]) -> None:
        with only_builder(self._folder / "fetch", self.progress):
            wanted = list(dict.fromkeys([*names, *self.standard()]))
            missing = [name for name in wanted if self._stale or not self._pinned(name)]
            if missing:
                self._download(missing)
            self._stale = False

    def _download(self, names: Sequence[str]) -> None:
        listed = self._apt(["apt-get", *_APT, "download", "--print-uris", *map(self._qualified, names)], names).decode()
        archives = {file.removesuffix(".deb"): int(size) for file, size in _LISTED.findall(listed)}
        new = {identity: size for identity, size in archives.items() if not self._cache.intact(self._root(identity))}
        if new:
            self._download_new({identity.split("_")[0]: size for identity, size in new.items()})
        for identity in archives:
            write_note(self._pin(identity.split("_")[0]), identity)

    def _download_new(self, sizes: Mapping[str, int]) -> None:
        check_room(self._folder, sum(sizes.values()))
        with working_folder(self._folder) as downloads:
            with self.progress.step(
                f"download {len(sizes)} packages of the target ({sum(sizes.values()) / 1e6:.0f} MB)"
            ):
                try:
                    self._runner.run(["apt-get", *_APT, "-q", "download", *map(self._qualified, sizes)], cwd=downloads)
                except ToolFailedError as error:
                    raise DownloadError(sizes, error.last_line.removeprefix("E: ")) from error
            for archive in sorted(downloads.glob("*.deb")):
                self._unpack(archive)

    def _qualified(self, name: str) -> str:
        return f"{name}:{self.architecture}"

    def _unpack(self, archive: Path) -> None:
        self._cache.publish_folder(
            self._root(archive.stem),
            lambda folder: self._runner.run(["dpkg-deb", "-x", archive, folder]),
            step=f"unpack {unquote(archive.stem)}",
        )

    def _apt(self, argv: Sequence[str], names: Sequence[str]) -> bytes:
        """Ask apt's lists about packages, which may take a second where apt keeps no cache of them."""
        try:
            with self.progress.step(f"look up {names[0]}{f' and {len(names) - 1} more packages' if names[1:] else ''}"):
                return self._runner.run(argv)
        except ToolFailedError as error:
            if not self._runner.run(
                ["apt-get", "indextargets", "--format", "$(FILENAME)", "Identifier: Packages"]
            ).strip():
                raise NoPackageListsError(names) from error
            said = re.split(r"[\s:']+", error.last_line)
            culprits = [name for name in names if name in said] or names
            raise MissingPackageError(", ".join(culprits), error.last_line.removeprefix("E: ")) from error
