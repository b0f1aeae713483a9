"""A slot that is a new Debian, made by mmdebstrap: systemd, our tools with their units, and the packages of the definition."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bootselect.integration.places import TOOLS, Programs, places
from image_builder.cache import working_folder
from image_builder.content.tiny import COMMANDS, fstab
from image_builder.definition import values
from image_builder.distribution.sources import builder_digest, copy_files, digest_of, our_files
from image_builder.filesystem.source import ArchiveSource
from image_builder.filesystem.tree import write_text
from image_builder.fingerprint import fingerprint_of_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from image_builder.content.build import Build
    from image_builder.content.slot import Slot
    from image_builder.definition.model import Definition, SlotFile
    from image_builder.definition.section import Section

PACKAGES = ("systemd-sysv", "dbus", "udev", "python3", "python3-click", "python3-construct", "python3-crcmod")
"""What a slot needs to boot, to prove itself and to be updated."""
_OURS = ("bootselect", "gptlib", "update_agent")
_MODULES = "usr/lib/python3/dist-packages"
_LAUNCHER = """#!/usr/bin/python3 -IS
import sys

sys.path.append("/{modules}")
from {module} import main

sys.exit(main())
"""
_ARCHIVE = "root.tar"
_COMPILE = (
    "python3 -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib/python3 /usr/lib/python3.[0-9]* || true"
)
"""All files of a slot get one date, and Python would take what it compiled of others for stale, and compile all of it in each boot.

What cannot be compiled (parts of the library are wrong on purpose) is read as it is.
"""


@dataclass(frozen=True)
class Debian:
    """``suite`` as mmdebstrap takes it; ``packages`` come beside PACKAGES.

    ``hook`` is a program that is run at the end with the folder of the new root as its argument.
    """

    kind: ClassVar[str] = "debian"
    suite: str
    packages: tuple[str, ...]
    mirror: str
    hook: Path | None

    @classmethod
    def read(cls, section: Section) -> Debian:
        """Its keys of a section [slot.NAME]."""
        return cls(
            suite=section.parse("suite", values.word, "bookworm"),
            packages=section.parse("packages", values.list_of(values.word, "the names of packages"), ()),
            mirror=section.parse("mirror", values.one_line, ""),
            hook=section.optional("hook", values.existing_file(section.folder)),
        )

    def tools(self, slot: Slot) -> Iterable[str]:  # noqa: ARG002
        """What makes it."""
        return ("mmdebstrap",)

    def mistakes(self, slot: Slot) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """A hook that cannot be run."""
        if self.hook is not None and not os.access(self.hook, os.X_OK):
            yield "hook", f"is {str(self.hook)!r}; expected a program, and it is not executable"

    def key(self, build: Build, slot: Slot) -> str:
        """Of the archive that it is made of."""
        return fingerprint_of_file(self._archive(build, slot))

    def source(self, build: Build, slot: Slot, files: Sequence[SlotFile], folder: Path) -> ArchiveSource:  # noqa: ARG002
        """Its archive, in the cache: the packages stay those of its first build until a refresh is asked for."""
        return ArchiveSource(self._archive(build, slot), owners=slot.owners, files=tuple(files))

    def _archive(self, build: Build, slot: Slot) -> Path:
        what = (repr((self.suite, self.packages, self.mirror)), fstab(build.definition), build.definition.name)
        hook = {} if self.hook is None else {"hook": self.hook}
        key = digest_of({**hook, **our_files(_OURS)}, builder_digest(), *what, str(build.epoch))

        def fill(folder: Path) -> None:
            with build.progress.step(f"{slot.name}: Debian {self.suite}, by mmdebstrap"), working_folder(folder) as own:
                _fill(own, build.definition)
                self._run(build, own, folder / _ARCHIVE)

        return build.cache.publish_folder(Path("debian", key), fill) / _ARCHIVE

    def _run(self, build: Build, own: Path, output: Path) -> None:
        packages = ",".join(dict.fromkeys((*PACKAGES, *self.packages)))
        hooks = [f"--customize-hook=sync-in {shlex.quote(str(own))} /"]
        hooks += [] if self.hook is None else [f"--customize-hook={self.hook.absolute()}"]
        hooks += [f'--customize-hook=chroot "$1" env PYTHONHASHSEED=0 sh -c {shlex.quote(_COMPILE)}']
        mirror = [self.mirror] if self.mirror else []
        # It is the initramfs of the image that boots the slot: one for the kernel that may be among the packages is of no use.
        environment = {"SOURCE_DATE_EPOCH": str(build.epoch), "INITRD": "No"}
        argv: list[str | Path] = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", *hooks]
        build.runner.run([*argv, self.suite, output, *mirror], env=environment)


def _fill(root: Path, definition: Definition) -> None:
    """Our part of the system, as a tree to be laid over it."""
    copy_files(our_files(_OURS), root / _MODULES)
    for command, module in COMMANDS.items():
        text = _LAUNCHER.format(modules=_MODULES, module=module)
        write_text(root / "usr/bin" / command, text, executable=True)
    for place in places(TOOLS["systemd"]):
        path = root / place.path
        if place.link:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(place.link)
        else:
            write_text(path, place.content(Programs()))
    write_text(root / "etc/hostname", f"{definition.name}\n")
    write_text(root / "etc/fstab", fstab(definition) or "tmpfs /var tmpfs mode=0755 0 0\n")
