"""A slot from a folder: a root file system as it lies there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from image_builder.definition import values
from image_builder.filesystem.source import FolderSource
from image_builder.fingerprint import fingerprint_of_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from image_builder.content.build import Build
    from image_builder.content.slot import Slot
    from image_builder.definition.model import SlotFile
    from image_builder.definition.section import Section


@dataclass(frozen=True)
class Tree:
    """``path`` is the root of the system. It is read where it lies and never written to."""

    kind: ClassVar[str] = "tree"
    path: Path

    @classmethod
    def read(cls, section: Section) -> Tree:
        """Its keys of a section [slot.NAME]."""
        return cls(section.parse("source", values.existing_folder(section.folder)))

    def tools(self, slot: Slot) -> Iterable[str]:  # noqa: ARG002
        """None but those of the file system."""
        return ()

    def mistakes(self, slot: Slot) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """None."""
        return iter(())

    def key(self, build: Build, slot: Slot) -> str:  # noqa: ARG002
        """Of what the file system tells about each file, its times of change among it; contents are not read."""
        return fingerprint_of_folder(self.path)

    def source(self, build: Build, slot: Slot, files: Sequence[SlotFile], folder: Path) -> FolderSource:  # noqa: ARG002
        """The folder."""
        return FolderSource(self.path, owners=slot.owners, files=tuple(files))
