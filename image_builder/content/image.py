"""A slot from a finished file system: what another tool has made. Nothing in it is changed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from bootselect.formats.filesystem import FILE_SYSTEMS, HEAD, filesystem_of
from bootselect.formats.seal import BLOCK
from image_builder.definition import values
from image_builder.filesystem.source import ImageSource
from image_builder.fingerprint import fingerprint_of_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from image_builder.content.build import Build
    from image_builder.content.slot import Slot
    from image_builder.definition.model import SlotFile
    from image_builder.definition.section import Section


@dataclass(frozen=True)
class Image:
    """``path`` is a file system that the selector can mount; ``filesystem`` is the name of its kind.

    ``block`` is in bytes, 0 where it does not matter.
    """

    kind: ClassVar[str] = "image"
    path: Path
    filesystem: str
    block: int = 0

    @classmethod
    def read(cls, section: Section) -> Image:
        """Its keys of a section [slot.NAME]. What the selector could not mount is a mistake."""
        path = section.parse("source", values.existing_file(section.folder))
        found, block = "", 0
        if path is not None:
            try:
                with path.open("rb") as stream:
                    known = filesystem_of(stream.read(HEAD))
                    size = os.fstat(stream.fileno()).st_size
            except OSError as error:
                section.wrong("source", f"{path} cannot be read: {error.strerror}")
                return cls(path, found)
            if known is None or not known.size:
                kinds = " or ".join(FILE_SYSTEMS)
                section.wrong("source", f"{path} holds no file system that the selector can mount; expected {kinds}")
            elif known.size > size:
                problem = f"{path} has {size} bytes, and its {known.name} {known.size}; expected all of it"
                section.wrong("source", problem)
            elif known.unfinished:
                section.wrong(
                    "source", f"{path} has a journal that must be replayed first; expected one after 'fsck.ext4 -p'"
                )
            if known is not None:
                found, block = known.name, known.block
        return cls(path, found, block)

    def tools(self, slot: Slot) -> Iterable[str]:  # noqa: ARG002
        """None."""
        return ()

    def mistakes(self, slot: Slot) -> Iterator[tuple[str, str]]:
        """What could not be mounted through its seal, beside what reading the section finds."""
        if slot.verity and 0 < self.block < BLOCK:
            detail = (
                f"{self.path} has blocks of {self.block} bytes, and {slot.name}.verity is true, whose blocks have {BLOCK}; expected "
                f"one made with 'mkfs.ext4 -b {BLOCK}', or {slot.name}.verity = false"
            )
            yield "source", detail

    def key(self, build: Build, slot: Slot) -> str:  # noqa: ARG002
        """Of what the file system tells about the file, its times of change among it; the content is not read."""
        return fingerprint_of_file(self.path)

    def source(self, build: Build, slot: Slot, files: Sequence[SlotFile], folder: Path) -> ImageSource:  # noqa: ARG002
        """The file."""
        return ImageSource(self.path)
