"""A partition that gets the bytes of a file, whatever they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from image_builder.content.content import Payload

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from image_builder.content.build import Build
    from image_builder.definition.model import Definition, PartitionDefinition


@dataclass(frozen=True)
class FileContent:
    """The bytes of ``path``. Slots are not filled so: their updates would not come from the same definition."""

    path: Path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def tools(self, definition: Definition) -> Iterable[str]:  # noqa: ARG002
        """None."""
        return ()

    def mistakes(self, definition: Definition) -> Iterator[tuple[str, str]]:
        """A file in a partition of the type of slots."""
        for partition in definition.partitions:
            in_slot = partition.content == self and partition.type_guid == definition.slot_type
            if in_slot and definition.boot is not None:
                detail = (
                    f"is the file {self.path}, and type is that of slots; expected content = 'slot.NAME', with a section "
                    "[slot.NAME] whose kind is 'image' and whose source is the file, so that updates come from it too"
                )
                yield f"{partition.section}.content", detail

    def payload(self, build: Build, partition: PartitionDefinition) -> Payload:  # noqa: ARG002
        """The file itself: nothing is copied before it goes into the image."""
        return Payload(self.name, lambda _: self.path)
