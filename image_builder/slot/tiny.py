"""The tiny slot: BusyBox, the target's Python with our tools, and an init of a hundred lines.

Its scripts lie in ``image_builder/data/tiny``; what they read from is written here.
"""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.formats.slot_files import OS_RELEASE
from bootselect.health import FOLDERS
from image_builder.definition.model import STATE
from image_builder.slot.tree import copy_file, merge_tree, write_text

if TYPE_CHECKING:
    from image_builder.definition.model import Definition, SlotDefinition
    from image_builder.run import Runner
    from image_builder.slot.parts import SlotParts

_COMMANDS = {"gptctl": "gptlib.cli.main", "bootselect": "bootselect.cli.main", "updatectl": "update_agent.entry"}
_LAUNCHER = """#!/usr/bin/python3 -ISB
import sys

from {module} import main

sys.exit(main())
"""
_PLACES = ("dev", "mnt", "proc", "root", "run", "sys", "tmp", "var")
_USR_LINKS = {"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "usr/sbin": "bin"}
_LIB = "usr/lib/slotboot"
_HEALTH = FOLDERS[0].relative_to("/")


def fill_tiny_slot(root: Path, definition: Definition, slot: SlotDefinition, parts: SlotParts, runner: Runner) -> None:
    """Fill the empty folder ``root`` with the tree; the modes of its folders are whatever the umask says.

    Raises KernelModuleError and what running BusyBox raises.
    """
    for link, target in _USR_LINKS.items():
        (root / "usr" / Path(target).name).mkdir(parents=True, exist_ok=True)
        (root / link).symlink_to(target)
    for place in _PLACES:
        (root / place).mkdir()
    merge_tree(parts.python.root, root)
    _add_busybox(root, parts.busybox, runner)
    _add_modules(root, slot, parts)
    _add_scripts(root)
    for command, module in _COMMANDS.items():
        write_text(root / "usr/bin" / command, _LAUNCHER.format(module=module), executable=True)
    _add_settings(root, definition, slot)


def _add_busybox(root: Path, busybox: Path, runner: Runner) -> None:
    copy_file(busybox, root / "usr/bin/busybox", executable=True)
    for applet in runner.run([busybox, "--list"]).decode("ascii").split():
        link = root / "usr/bin" / applet
        if applet != "init" and not link.exists():
            link.symlink_to("busybox")


def _add_modules(root: Path, slot: SlotDefinition, parts: SlotParts) -> None:
    kernel = parts.kernel
    names = [path.relative_to(kernel.root) for path in kernel.module_files(slot.modules)]
    for name in names:
        copy_file(kernel.root / name, root / name)
    lines = [f"{name.stem.replace('-', '_')} /{name}\n" for name in names]
    write_text(root / _LIB / "modules", "".join(lines))


def _add_scripts(root: Path) -> None:
    with as_file(files("image_builder") / "data" / "tiny") as scripts:
        merge_tree(scripts / "health.d", root / _HEALTH, executable=True)
        for name in ("control", "shell"):
            copy_file(scripts / name, root / _LIB / name, executable=True)
        copy_file(scripts / "init", root / "usr/bin/init", executable=True)


def _add_settings(root: Path, definition: Definition, slot: SlotDefinition) -> None:
    state = "".join(
        f"PARTLABEL={partition.label} /var ext4 nosuid,nodev 0 0\n" for partition in definition.holding(STATE)
    )
    etc = {
        OS_RELEASE[0]: slot.release_text(),
        "etc/hostname": f"{definition.name}\n",
        "etc/fstab": state,
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
        "etc/group": "root:x:0:\n",
    }
    for name, text in etc.items():
        write_text(root / name, text)
