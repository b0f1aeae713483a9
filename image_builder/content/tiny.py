"""The tiny slot: BusyBox, the target's Python with our tools, and an init of a hundred lines.

Its scripts lie in ``image_builder/data/tiny``; what they read from is written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bootselect.formats.slot_files import OS_RELEASE
from bootselect.health import FOLDERS
from image_builder.boot.chain import busybox_of, kernel_of
from image_builder.content.state import State
from image_builder.definition import values
from image_builder.definition.model import ROOT
from image_builder.distribution.kernel import read_module
from image_builder.distribution.python import slot_python
from image_builder.distribution.sources import digest_of
from image_builder.filesystem.source import FolderSource
from image_builder.filesystem.tree import copy_file, fix_folder_modes, merge_tree, write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from image_builder.content.build import Build
    from image_builder.content.slot import Slot
    from image_builder.definition.model import Definition, SlotFile
    from image_builder.definition.section import Section
    from image_builder.distribution.kernel import Kernel
    from image_builder.run import Runner

DEFAULT_MODULES = ("virtio_console", "loop")
"""Kernel modules: its control port, and update media that are files."""
_RELEASE = {"ID": "slotboot-tiny", "NAME": "slotboot tiny slot"}
_SET_BY_VERSION = ("VERSION", "VERSION_ID")
COMMANDS = {"gptctl": "gptlib.cli.main", "bootselect": "bootselect.cli.main", "updatectl": "update_agent.entry"}
_LAUNCHER = """#!/usr/bin/python3 -ISB
import sys

from {module} import main

sys.exit(main())
"""
_PLACES = ("dev", "mnt", "proc", "root", "run", "sys", "tmp", "var")
_USR_LINKS = {"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "usr/sbin": "bin"}
_LIB = "usr/lib/slotboot"
_HEALTH = FOLDERS[0].relative_to("/")


@dataclass(frozen=True)
class Tiny:
    """``modules`` are kernel modules that its init loads; ``os_release`` holds the fields besides the version's."""

    kind: ClassVar[str] = "tiny"
    modules: tuple[str, ...]
    os_release: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, section: Section) -> Tiny:
        """Its keys of a section [slot.NAME]."""
        modules = values.list_of(values.kernel_module, "the names of kernel modules")
        return cls(
            modules=section.parse("modules", modules, DEFAULT_MODULES),
            os_release=_read_release(section.table("os-release")),
        )

    def tools(self, slot: Slot) -> Iterable[str]:  # noqa: ARG002
        """To find the libraries of its interpreter."""
        return ("readelf",)

    def mistakes(self, slot: Slot) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """None."""
        return iter(())

    def key(self, build: Build, slot: Slot) -> str:
        """Of its packages and settings."""
        with build.progress.step("interpreter and tools of the slot"):
            python = slot_python(build.runner, build.packages, build.cache)
            busybox = build.packages.package("busybox-static")
        settings = (repr(self), build.definition.name, slot.version, repr(_mounts(build.definition)))
        return digest_of({}, python.identity, busybox.identity, kernel_of(build).identity, *settings)

    def source(self, build: Build, slot: Slot, files: Sequence[SlotFile], folder: Path) -> FolderSource:
        """A new tree."""
        root = folder / "root"
        root.mkdir(mode=0o755)
        self._fill(root, build, slot)
        fix_folder_modes(root)
        # Without the attributes that a file system of the building machine gives to new files, such as security labels.
        return FolderSource(root, owners=ROOT, xattrs=False, files=tuple(files))

    def _fill(self, root: Path, build: Build, slot: Slot) -> None:
        for link, target in _USR_LINKS.items():
            (root / "usr" / Path(target).name).mkdir(parents=True, exist_ok=True)
            (root / link).symlink_to(target)
        for place in _PLACES:
            (root / place).mkdir()
        merge_tree(slot_python(build.runner, build.packages, build.cache).root, root)
        _add_busybox(root, busybox_of(build), build.runner)
        _add_modules(root, self.modules, kernel_of(build))
        _add_scripts(root)
        for command, module in COMMANDS.items():
            write_text(root / "usr/bin" / command, _LAUNCHER.format(module=module), executable=True)
        _add_settings(root, build.definition, self.release_text(slot.version))

    def release_text(self, version: str) -> str:
        """The content of /etc/os-release, as os-release(5) has it."""
        fields = {**dict(self.os_release), "VERSION": version, "VERSION_ID": version}
        return "".join(f'{name}="{_quoted(value)}"\n' for name, value in fields.items())


def _quoted(value: str) -> str:
    return "".join(f"\\{character}" if character in '"$`\\' else character for character in value)


def _read_release(section: Section) -> tuple[tuple[str, str], ...]:
    fields = dict(_RELEASE)
    for key in section:
        if key in _SET_BY_VERSION:
            section.wrong(key, "follows from the version of the slot; set that instead")
        elif section.has(key):
            fields[key] = section.parse(key, values.release_value(key))
    return tuple(fields.items())


def _mounts(definition: Definition) -> list[tuple[str, str]]:
    """Label and mount point of the partitions for what lasts."""
    return [(partition.label, state.mount) for partition, state in definition.holding(State)]


def _add_busybox(root: Path, busybox: Path, runner: Runner) -> None:
    copy_file(busybox, root / "usr/bin/busybox", executable=True)
    for applet in runner.run([busybox, "--list"]).decode("ascii").split():
        link = root / "usr/bin" / applet
        if applet != "init" and not link.exists():
            link.symlink_to("busybox")


def _add_modules(root: Path, modules: Sequence[str], kernel: Kernel) -> None:
    files = kernel.module_files(modules)
    for file in files:
        target = root / kernel.place(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(read_module(file))
        target.chmod(0o644)
    lines = [f"{file.stem.replace('-', '_')} /{kernel.place(file)}\n" for file in files]
    write_text(root / _LIB / "modules", "".join(lines))


def _add_scripts(root: Path) -> None:
    with as_file(files("image_builder") / "data" / "tiny") as scripts:
        merge_tree(scripts / "health.d", root / _HEALTH, executable=True)
        for name in ("control", "shell"):
            copy_file(scripts / name, root / _LIB / name, executable=True)
        copy_file(scripts / "init", root / "usr/bin/init", executable=True)


def _add_settings(root: Path, definition: Definition, release: str) -> None:
    etc = {
        OS_RELEASE[0]: release,
        "etc/hostname": f"{definition.name}\n",
        "etc/fstab": fstab(definition),
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
        "etc/group": "root:x:0:\n",
    }
    for name, text in etc.items():
        write_text(root / name, text)
    for _, place in _mounts(definition):
        (root / place.strip("/")).mkdir(parents=True, exist_ok=True)


def fstab(definition: Definition) -> str:
    """The lines of /etc/fstab for the partitions that last."""
    mounts = _mounts(definition)
    return "".join(f"PARTLABEL={_fstab_word(label)} {place} ext4 nosuid,nodev 0 0\n" for label, place in mounts)


def _fstab_word(label: str) -> str:
    r"""A label as fstab(5) has it: a blank is ``\040``."""
    return label.replace(" ", "\\040")
