"""What every kind of content is to the rest of the builder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from image_builder.content.build import Build
    from image_builder.definition.model import Definition, PartitionDefinition


@dataclass(frozen=True)
class Payload:
    """Bytes for one or more partitions. ``produce`` makes them, in the empty folder that it is given or in the cache.

    ``name`` says what they are, for people and as the key by which partitions share them.
    """

    name: str
    produce: Callable[[Path], Path]


class Content(Protocol):
    """Fills a partition. A value: two of the same section of a definition are the same object."""

    @property
    def name(self) -> str:
        """How a partition of a definition refers to it."""
        ...

    def tools(self, definition: Definition) -> Iterable[str]:
        """The programs that it takes to make it."""
        ...

    def mistakes(self, definition: Definition) -> Iterator[tuple[str, str]]:
        """What is wrong with it in a definition, as keys and details; found without making anything."""
        ...

    def payload(self, build: Build, partition: PartitionDefinition) -> Payload | None:
        """Its bytes for a partition, or None where it has none."""
        ...
