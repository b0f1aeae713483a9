"""Where everything goes on the disk. Pure: sizes in, sectors out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gptlib.errors import InvalidValueError, TableError
from gptlib.table.partition import Partition
from gptlib.table.table import Table
from image_builder.definition.model import ALIGNMENT, AutoSize
from image_builder.definition.size import auto_size, format_size
from image_builder.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from image_builder.definition.model import Definition, PartitionDefinition


@dataclass(frozen=True)
class Place:
    """A partition and where it lies, in bytes from the start of the disk."""

    partition: PartitionDefinition
    start: int
    size: int

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.start + self.size


@dataclass(frozen=True)
class Partitioning:
    """A disk of ``size`` bytes with its partition table; ``places`` in the order of the definition."""

    size: int
    places: tuple[Place, ...]
    table: Table


def plan_partitions(definition: Definition, contents: Mapping[int, int] | None = None) -> Partitioning:
    """Place the partitions: where they say, or else after the one before them. Raises DefinitionError.

    ``contents`` are the bytes of what is in them, by number, from which automatic sizes follow; without it those are their
    least ones. Without a size the disk ends 1 MiB after its last partition: room for the backup of the table, on a round size.
    """
    sizes = partition_sizes(definition, contents or {})
    places: list[Place] = []
    for partition in definition.partitions:
        following = places[-1].end if places else ALIGNMENT
        start = following if partition.start is None else partition.start
        places.append(Place(partition, start, sizes[partition.number]))
    needed = max(place.end for place in places) + ALIGNMENT
    size = definition.size or needed
    if size < needed:
        problem = f"is {format_size(size)}; expected at least {format_size(needed)} for the partitions"
        raise DefinitionError(definition.mistake("image.size", problem))
    return Partitioning(size, tuple(places), _table(definition, places, size))


def partition_sizes(definition: Definition, contents: Mapping[int, int]) -> dict[int, int]:
    """Bytes of each partition, by number. Of slots, an automatic size follows from the largest: each will hold each update."""
    slots = {partition.number for partition in definition.slot_partitions()}
    largest = max((contents.get(number, 0) for number in slots), default=0)
    sizes = {}
    for partition in definition.partitions:
        content = largest if partition.number in slots else contents.get(partition.number, 0)
        size = partition.size
        sizes[partition.number] = auto_size(size, content) if isinstance(size, AutoSize) else size
    return sizes


def _table(definition: Definition, places: list[Place], size: int) -> Table:
    sector = definition.sector_size
    table = Table.new(total_sectors=size // sector, sector_size=sector, disk_guid=definition.disk_guid)
    for place in places:
        partition = place.partition
        entry = Partition(
            partition.type_guid,
            partition.unique_guid,
            place.start // sector,
            place.end // sector - 1,
            partition.attributes,
            partition.label,
        )
        try:
            table = table.add(entry, partition.number)
        except (TableError, InvalidValueError) as error:
            raise DefinitionError(definition.mistake(partition.section, str(error))) from error
    return table
