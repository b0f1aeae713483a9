"""A slot from a tarball: what ``mmdebstrap``, ``docker export`` and others write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from image_builder.definition import values
from image_builder.filesystem.source import ArchiveSource
from image_builder.fingerprint import fingerprint_of_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from image_builder.content.build import Build
    from image_builder.content.slot import Slot
    from image_builder.definition.model import SlotFile
    from image_builder.definition.section import Section


@dataclass(frozen=True)
class Tar:
    """``path`` is a tar archive, plain or compressed by gzip, xz or zstd."""

    kind: ClassVar[str] = "tar"
    path: Path

    @classmethod
    def read(cls, section: Section) -> Tar:
        """Its keys of a section [slot.NAME]."""
        return cls(section.parse("source", values.existing_file(section.folder)))

    def tools(self, slot: Slot) -> Iterable[str]:  # noqa: ARG002
        """None but those of the file system."""
        return ()

    def mistakes(self, slot: Slot) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """None."""
        return iter(())

    def key(self, build: Build, slot: Slot) -> str:  # noqa: ARG002
        """Of what the file system tells about the archive, its times of change among it; the content is not read."""
        return fingerprint_of_file(self.path)

    def source(self, build: Build, slot: Slot, files: Sequence[SlotFile], folder: Path) -> ArchiveSource:  # noqa: ARG002
        """The archive."""
        return ArchiveSource(self.path, owners=slot.owners, files=tuple(files))
