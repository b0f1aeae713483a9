"""Reads a definition: TOML -> ``Definition``, or all its mistakes, a line for each."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

from bootselect.initramfs.config import AUTO, KEXEC, OFF, REQUIRED, SWITCH_ROOT
from bootselect.policy import DEFAULT_POLICY, POLICIES
from bootselect.toml_lines import lines_of_keys
from image_builder.content.kinds import read_contents
from image_builder.content.slot import Slot
from image_builder.content.state import State
from image_builder.definition import values
from image_builder.definition.check import check_definition
from image_builder.definition.identity import derived_guid
from image_builder.definition.model import (
    ACTIONS,
    ADD,
    ALIGNMENT,
    DISTRIBUTION,
    INITRAMFS_COMPRESSIONS,
    REPLACE,
    Boot,
    Definition,
)
from image_builder.definition.partition import read_partitions
from image_builder.definition.section import Mistakes, Section
from image_builder.definition.size import parse_size
from image_builder.errors import DefinitionError, Mistake
from image_builder.loader.kinds import LOADERS
from image_builder.output.kinds import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from gptlib.table.guid import Guid
    from image_builder.content.content import Content


def load_definition(path: Path) -> Definition:
    """Read a definition. Raises DefinitionError. Only the file is read; files that it names as contents must be there."""
    try:
        data = path.read_bytes()
        text = data.decode()
        fields = tomllib.loads(text)
    except OSError as error:
        problem = f"cannot be read: {error.strerror}; give the path of a definition"
        raise DefinitionError(Mistake(path, "", problem)) from error
    except RecursionError as error:
        raise DefinitionError(Mistake(path, "", "is not a definition: it has tables in tables in tables")) from error
    except ValueError as error:
        # That of TOML, of UTF-8, or of Python's whole numbers, which have at most 4300 digits.
        raise DefinitionError(Mistake(path, "", f"is not a TOML file: {error}")) from error
    return parse_definition(path, fields, lines_of_keys(text))


def parse_definition(path: Path, fields: dict[str, Any], lines: Mapping[str, int] | None = None) -> Definition:
    """The definition that these values of a TOML file stand for; ``lines`` says where its keys stand.

    Raises DefinitionError with all mistakes.
    """
    mistakes = Mistakes(path, dict(lines or {}))
    top = Section(mistakes, "", fields)
    image = read_image(top.table("image"))
    contents = read_contents(top)
    partitions = top.tables("partition")
    if not partitions:
        top.absent("partition", "there is none; expected at least one [[partition]]")
    definition = Definition(
        path=path,
        name=image.name,
        size=image.size,
        sector_size=image.sector_size,
        seed=image.seed,
        disk_guid=image.disk_guid,
        outputs=image.outputs,
        boot=read_boot(top.table("boot"), contents.values()) if top.has("boot") else None,
        slots=tuple(content for content in contents.values() if isinstance(content, Slot)),
        partitions=read_partitions(partitions, contents, sector_size=image.sector_size, seed=image.seed),
        lines=mistakes.lines,
    )
    top.finish()
    states = [content for content in contents.values() if isinstance(content, State) and content.section]
    stated = [*([contents["esp"]] if top.has("esp") else []), *states]
    check_definition(definition, [content for content in stated if not mistakes.below(content.name)], mistakes)
    found = mistakes.all()
    if found:
        raise DefinitionError(*found)
    return definition


class Image(NamedTuple):
    """The section [image]: see ``Definition``."""

    name: str
    size: int | None
    sector_size: int
    seed: str
    disk_guid: Guid
    outputs: tuple[str, ...]


def read_image(section: Section) -> Image:
    """The section [image]."""
    name = section.parse("name", values.image_name)
    seed = section.get("seed", str, name or "")
    sector_size = section.parse("sector-size", values.sector_size, 512)
    if section.mistakes.at(section.key("sector-size")):
        sector_size = ALIGNMENT  # of which every number is a possible size: the one mistake is told already
    image = Image(
        name=name,
        size=section.optional("size", lambda value: parse_size(value, sector_size)),
        sector_size=sector_size,
        seed=seed,
        disk_guid=section.parse("uuid", values.guid, derived_guid(seed, "disk")),
        outputs=section.parse("outputs", _outputs, ("raw",)),
    )
    section.finish()
    return image


def read_boot(section: Section, contents: Iterable[Content]) -> Boot | None:
    """The section [boot], None where it has mistakes; ``contents`` are those of the definition."""

    def kernel(value: object) -> str | Path:
        return _kernel(value, contents, section)

    boot = Boot(
        kind=section.choice("kind", tuple(LOADERS)),
        cmdline=section.parse("cmdline", values.one_line, ""),
        cmdline_mode=section.choice("cmdline-mode", (ADD, REPLACE), ADD),
        kernel=section.optional("kernel", kernel) or DISTRIBUTION,
        modules=section.optional("modules", values.existing_folder(section.folder)),
        policy=section.choice("policy", tuple(POLICIES), DEFAULT_POLICY.name),
        on_nothing_bootable=section.choice("on-nothing-bootable", ACTIONS, "rescue"),
        compression=section.choice("compression", INITRAMFS_COMPRESSIONS, "lz4"),
        hand_over=section.choice("hand-over", (SWITCH_ROOT, KEXEC), SWITCH_ROOT),
        verity=section.choice("verity", (OFF, AUTO, REQUIRED), OFF),
        watchdog=section.parse("watchdog", values.number_between(0, 600), 0),
    )
    given = not isinstance(boot.kernel, str)
    if given and not section.has("modules"):
        section.wrong(
            "modules", "is missing; expected the folder lib/modules/RELEASE of the file that boot.kernel names"
        )
    if boot.modules is not None and not given and not section.mistakes.at(section.key("kernel")):
        section.wrong("modules", "belongs to a kernel that is a file; expected the path of one in boot.kernel")
    return boot if section.finish() else None


def _kernel(value: object, contents: Iterable[Content], section: Section) -> str | Path:
    slots = [content.name for content in contents if isinstance(content, Slot)]
    if value == DISTRIBUTION or value in slots:
        return str(value)
    try:
        return values.existing_file(section.folder)(value)
    except ValueError as error:
        raise ValueError(f"{error}; or one of {', '.join([DISTRIBUTION, *slots])}") from error


def _outputs(value: object) -> tuple[str, ...]:
    def one(item: object) -> str:
        if not isinstance(item, str) or item not in OUTPUTS:
            raise ValueError(f"holds {values.show(item)}; expected some of {', '.join(OUTPUTS)}")
        return item

    found = values.list_of(one, "formats")(value)
    if not found:
        raise ValueError(f"is an empty list; expected some of {', '.join(OUTPUTS)}")
    return tuple(dict.fromkeys(found))
