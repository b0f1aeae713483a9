"""Where everything goes on the disk. Pure: sizes in, sectors out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gptlib.errors import InvalidValueError, TableError
from gptlib.table.partition import Partition
from gptlib.table.table import Table
from image_builder.definition.model import ALIGNMENT
from image_builder.definition.size import format_size
from image_builder.errors import DefinitionError

if TYPE_CHECKING:
    from image_builder.definition.model import Definition, PartitionDefinition


@dataclass(frozen=True)
class Place:
    """A partition and where it lies, in bytes from the start of the disk."""

    partition: PartitionDefinition
    start: int

    @property
    def end(self) -> int:
        """The first byte after it."""
        return self.start + self.partition.size


@dataclass(frozen=True)
class Partitioning:
    """A disk of ``size`` bytes with its partition table; ``places`` in the order of the definition."""

    size: int
    places: tuple[Place, ...]
    table: Table


def plan_partitions(definition: Definition) -> Partitioning:
    """Place the partitions: where they say, or else after the one before them. Raises DefinitionError.

    Without a size the disk ends 1 MiB after its last partition: room for the backup of the table, on a round size.
    """
    places: list[Place] = []
    for partition in definition.partitions:
        following = places[-1].end if places else ALIGNMENT
        places.append(Place(partition, following if partition.start is None else partition.start))
    needed = max(place.end for place in places) + ALIGNMENT
    size = definition.size or needed
    if size < needed:
        raise DefinitionError(
            definition.path,
            "image.size",
            f"is {format_size(size)}; expected at least {format_size(needed)} for the partitions",
        )
    return Partitioning(size, tuple(places), _table(definition, places, size))


def _table(definition: Definition, places: list[Place], size: int) -> Table:
    sector = definition.sector_size
    table = Table.new(total_sectors=size // sector, sector_size=sector, disk_guid=definition.disk_guid)
    for number, place in enumerate(places, 1):
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
            raise DefinitionError(definition.path, f"partition[{number}]", str(error)) from error
    return table
