"""A partition for what lasts: an ext4, empty or with the files of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from image_builder.content.content import Payload
from image_builder.definition import values
from image_builder.definition.identity import derived_uuid
from image_builder.definition.model import KEPT, OWNERS, AutoSize
from image_builder.definition.size import auto_size
from image_builder.filesystem.compare import require_same
from image_builder.filesystem.ext4 import OWN_INODES, write_ext4
from image_builder.filesystem.ext4_size import needed_bytes
from image_builder.filesystem.reading import ext4 as reading
from image_builder.filesystem.source import FolderSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from image_builder.content.build import Build
    from image_builder.definition.model import Definition, PartitionDefinition
    from image_builder.definition.section import Section

_LEAST = 16 << 20
"""Bytes of an ext4 with nothing in it: the journal takes 4 MiB."""
_EXTRA = 16
"""One part in so many for journal and inodes: those take 1/64 and, from 1 GiB on, at most 1/32; what is below has ``_LEAST``."""


@dataclass(frozen=True)
class State:
    """``section`` is its name in the definition, empty for the plain one; ``mount`` is where the tiny slot mounts it.

    ``source`` is a folder whose files it begins with, None for an empty file system.
    """

    section: str = ""
    source: Path | None = None
    owners: str = KEPT
    mount: str = "/var"

    @property
    def name(self) -> str:
        """See ``Content``."""
        return f"state.{self.section}" if self.section else "state"

    @classmethod
    def read(cls, section: Section, name: str) -> State:
        """A section [state.NAME]."""
        return cls(
            section=name,
            source=section.optional("source", values.existing_folder(section.folder)),
            owners=section.choice("owners", OWNERS, KEPT),
            mount=section.parse("mount", values.mount_point, "/var"),
        )

    def tools(self, definition: Definition) -> Iterable[str]:  # noqa: ARG002
        """Those of ext4."""
        return ("mkfs.ext4", "debugfs")

    def mistakes(self, definition: Definition) -> Iterator[tuple[str, str]]:
        """An empty one whose size would follow from its content."""
        for partition in definition.partitions:
            follows = partition.content is self and isinstance(partition.size, AutoSize) and self.source is None
            if follows and isinstance(partition.size, AutoSize) and partition.size.least < _LEAST:
                detail = (
                    f'is "auto", and the file system is empty; expected a size, or min of {_LEAST >> 20} MiB and more'
                )
                yield f"{partition.section}.size", detail

    def payload(self, build: Build, partition: PartitionDefinition) -> Payload:
        """The file system, as large as the partition."""

        def produce(folder: Path) -> Path:
            output = folder / "image"
            with build.progress.step(f"partition {partition.label}"):
                self._write(build, partition, output)
            return output

        return Payload(f"{self.name} of partition {partition.number}", produce)

    def _source(self) -> FolderSource | None:
        return None if self.source is None else FolderSource(self.source, owners=self.owners)

    def _write(self, build: Build, partition: PartitionDefinition, output: Path) -> None:
        source = self._source()
        uuid = derived_uuid(build.definition.seed, f"ext4 {partition.label}")
        size = partition.size
        if isinstance(size, AutoSize):
            size = auto_size(size, 0 if source is None else _bytes_of(source))
        write_ext4(
            build.runner,
            source,
            output,
            uuid=uuid,
            epoch=build.epoch,
            label=partition.label[:16],
            size=size,
            journal=True,
        )
        if source is not None:
            require_same(output, source.listing(), reading.read_listing(output))


def _bytes_of(source: FolderSource) -> int:
    """A little more than enough. What ``needed_bytes`` leaves out are the journal and the inodes for more files."""
    listing = source.listing()
    needed = needed_bytes(listing, len(listing) + OWN_INODES)
    return _LEAST + needed + needed // _EXTRA
