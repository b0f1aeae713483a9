"""The EFI system partition: a FAT file system with what the firmware starts, and files of the definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gptlib.table.types import type_guid
from image_builder.content.content import Payload
from image_builder.definition.files import read_files
from image_builder.definition.identity import derived_uuid
from image_builder.definition.model import AutoSize
from image_builder.definition.size import auto_size
from image_builder.filesystem.vfat import fat_size, write_fat
from image_builder.loader.kinds import LOADERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from image_builder.content.build import Build
    from image_builder.definition.model import Definition, PartitionDefinition, SlotFile
    from image_builder.definition.section import Section


@dataclass(frozen=True)
class Esp:
    """What the loader puts there, and ``files`` beside it."""

    files: tuple[SlotFile, ...] = ()

    @property
    def name(self) -> str:
        """See ``Content``."""
        return "esp"

    @classmethod
    def read(cls, section: Section) -> Esp:
        """The section [esp]."""
        return cls(files=read_files(section))

    def tools(self, definition: Definition) -> Iterable[str]:
        """Those of FAT and of the loader."""
        loader = () if definition.boot is None else LOADERS[definition.boot.kind].tools(definition)
        return ("mkfs.fat", "mmd", "mcopy", *loader)

    def mistakes(self, definition: Definition) -> Iterator[tuple[str, str]]:
        """Another type of partition; nothing to put there."""
        for partition in [partition for partition, _ in definition.holding(Esp)][:1]:
            if partition.type_guid != type_guid("esp"):
                yield f"{partition.section}.type", "is not esp; expected that where the content is 'esp'"
            if definition.boot is None and not self.files:
                yield (
                    f"{partition.section}.content",
                    "is 'esp'; expected a section [boot] that says what to put there, or [esp.files]",
                )
        places = () if definition.boot is None else LOADERS[definition.boot.kind].places
        taken = dict.fromkeys((f"/{place}".upper() for place in places), "what the loader of boot.kind puts there")
        for file in self.files:
            name = file.path.upper()
            if name in taken:
                yield f"esp.files.{file.path}", f"is {taken[name]}; expected another path"
            taken.setdefault(name, f"the same name as {file.path!r} on a FAT file system")

    def payload(self, build: Build, partition: PartitionDefinition) -> Payload:
        """The file system, as large as the partition."""

        def produce(folder: Path) -> Path:
            boot = build.definition.boot
            files = {} if boot is None else dict(LOADERS[boot.kind].files(build))
            files |= {file.path.strip("/"): file.source for file in self.files}
            output = folder / "image"
            with build.progress.step(f"partition {partition.label}"):
                size = partition.size
                if isinstance(size, AutoSize):
                    size = auto_size(size, fat_size(files))
                write_fat(
                    build.runner,
                    output,
                    files,
                    label=partition.label,
                    size=size,
                    sector_size=build.definition.sector_size,
                    volume_id=derived_uuid(build.definition.seed, f"fat {partition.label}")[:8],
                    epoch=build.epoch,
                )
            return output

        return Payload(f"{self.name} of partition {partition.number}", produce)
