"""Reads a definition: TOML -> ``Definition``, or one line that says which key is wrong and what was expected."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from bootselect.initramfs.config import AUTO, KEXEC, OFF, REQUIRED, SWITCH_ROOT
from bootselect.policy import DEFAULT_POLICY, POLICIES
from bootselect.slots import DEFAULT_TYPE
from image_builder.definition import values
from image_builder.definition.check import check_definition
from image_builder.definition.files import slot_files
from image_builder.definition.identity import derived_guid
from image_builder.definition.model import (
    ACTIONS,
    COMPRESSIONS,
    INITRAMFS_COMPRESSIONS,
    Boot,
    Definition,
    SlotDefinition,
    SlotFile,
)
from image_builder.definition.partition import read_partitions
from image_builder.definition.section import Section
from image_builder.definition.size import parse_size
from image_builder.errors import DefinitionError

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_MODULES = ("virtio_console", "loop")
"""Kernel modules of the tiny slot: its control port, and update media that are files."""
_RELEASE = {"ID": "slotboot-tiny", "NAME": "slotboot tiny slot"}
_SET_BY_VERSION = ("VERSION", "VERSION_ID")


def load_definition(path: Path) -> Definition:
    """Read a definition. Raises DefinitionError. Only the file is read; files that it names as contents must be there."""
    try:
        with path.open("rb") as file:
            fields = tomllib.load(file)
    except OSError as error:
        raise DefinitionError(path, "", f"cannot be read: {error.strerror}; give the path of a definition") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DefinitionError(path, "", f"is not a TOML file: {error}") from error
    return parse_definition(path, fields)


def parse_definition(path: Path, fields: dict[str, Any]) -> Definition:
    """The definition that these values of a TOML file stand for. Raises DefinitionError with ``path`` in it."""
    top = Section(path, "", fields)
    image = top.table("image")
    name = image.parse("name", values.image_name)
    seed = image.get("seed", str, name)
    sector_size = image.parse("sector-size", values.sector_size, 512)
    definition = Definition(
        path=path,
        name=name,
        size=image.parse("size", lambda value: parse_size(value, sector_size)) if image.has("size") else None,
        sector_size=sector_size,
        seed=seed,
        disk_guid=image.parse("uuid", values.guid, derived_guid(seed, "disk")),
        boot=_read_boot(top.table("boot")) if top.has("boot") else None,
        slot=_read_slot(top.table("slot")) if top.has("slot") else None,
        partitions=read_partitions(top.tables("partition"), sector_size, seed),
    )
    image.finish()
    top.finish()
    check_definition(definition)
    return definition


def _read_boot(section: Section) -> Boot:
    boot = Boot(
        kind=section.choice("kind", ("uki",)),
        cmdline=section.parse("cmdline", values.one_line, ""),
        policy=section.choice("policy", tuple(POLICIES), DEFAULT_POLICY.name),
        on_nothing_bootable=section.choice("on-nothing-bootable", ACTIONS, "rescue"),
        compression=section.choice("compression", INITRAMFS_COMPRESSIONS, "lz4"),
        hand_over=section.choice("hand-over", (SWITCH_ROOT, KEXEC), SWITCH_ROOT),
        verity=section.choice("verity", (OFF, AUTO, REQUIRED), OFF),
        watchdog=section.parse("watchdog", values.number_between(0, 600), 0),
    )
    section.finish()
    return boot


def _read_slot(section: Section) -> SlotDefinition:
    slot = SlotDefinition(
        kind=section.choice("kind", ("tiny",)),
        type=section.parse("type", values.slot_type_name, DEFAULT_TYPE),
        version=section.parse("version", values.slot_version, "1"),
        filesystem=section.choice("filesystem", ("erofs",), "erofs"),
        compression=section.choice("compression", COMPRESSIONS, "lz4"),
        verity=section.get("verity", bool, default=False),
        kernel=section.get("kernel", bool, default=False),
        modules=section.parse("modules", _modules, DEFAULT_MODULES),
        os_release=_read_release(section.table("os-release")),
        files=section.parse("files", lambda value: _files(value, section.path.parent), ()),
    )
    section.finish()
    return slot


def _modules(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(values.kernel_module(name) for name in value)
    raise ValueError(f"is {values.show(value)}; expected a list of the names of kernel modules")


def _files(value: object, folder: Path) -> tuple[SlotFile, ...]:
    if isinstance(value, dict):
        return slot_files(value, folder)
    raise ValueError(f"is {values.show(value)}; expected a table of paths in the slot and files")


def _read_release(section: Section) -> tuple[tuple[str, str], ...]:
    fields = dict(_RELEASE)
    for key in section:
        if key in _SET_BY_VERSION:
            raise section.fail(key, "follows from slot.version; set that instead")
        fields[key] = section.parse(key, values.release_value(key))
    return tuple(fields.items())
