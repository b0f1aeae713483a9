"""What an image is made of, as values. ``image_builder.definition.load`` makes them from a TOML file."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from bootselect.toml_lines import line_of
from image_builder.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gptlib.table.attributes import Attributes
    from gptlib.table.guid import Guid
    from image_builder.content.content import Content
    from image_builder.content.slot import Slot

MIB = 1 << 20
ALIGNMENT = MIB
"""Bytes: partitions start and end on multiples of this, so that no page of 4 KiB belongs to two of them."""

KEPT, ROOT = "kept", "root"
OWNERS = (KEPT, ROOT)
"""Who owns the files of a file system: whom they belong to where they come from, or all root."""
INITRAMFS_COMPRESSIONS = ("lz4", "zstd")
ACTIONS = ("rescue", "reboot", "poweroff")
DISTRIBUTION = "distribution"
"""The kernel of the target distribution's packages."""
REFUSE, DROP = "refuse", "drop"
ADD, REPLACE = "add", "replace"
C = TypeVar("C")


@dataclass(frozen=True)
class Boot:
    """How the slots are booted: what stands on the EFI system partition, with the selector in its initramfs.

    ``cmdline`` is added to what the boot chain itself needs, or stands in its place (``cmdline_mode``). ``kernel`` is
    DISTRIBUTION, ``slot.NAME`` for the one in a slot, or a file, whose modules are in the folder ``modules``.
    ``compression`` is that of the initramfs. The others are settings of the selector (docs/bootselect.md); ``watchdog``
    is in seconds, 0 for none.
    """

    kind: str
    cmdline: str
    cmdline_mode: str
    kernel: str | Path
    modules: Path | None
    policy: str
    on_nothing_bootable: str
    compression: str
    hand_over: str
    verity: str
    watchdog: int


@dataclass(frozen=True)
class SlotFile:
    """A file of the building machine, and the absolute path that it gets."""

    path: str
    source: Path


@dataclass(frozen=True)
class AutoSize:
    """A size that follows from the content. ``least``, ``most`` and ``headroom`` in bytes, or ``percent`` of the content."""

    least: int
    most: int | None
    headroom: int
    percent: int


@dataclass(frozen=True)
class PartitionDefinition:
    """A partition. ``size`` and ``start`` are bytes; ``start`` None means after the partition before it.

    ``section`` is what its table is called in mistakes: ``partition[2]``.
    """

    section: str
    number: int
    label: str
    type_guid: Guid
    size: int | AutoSize
    start: int | None
    content: Content
    unique_guid: Guid
    attributes: Attributes


@dataclass(frozen=True)
class Definition:
    """An image. ``size`` is in bytes, None where it follows from the partitions. ``outputs`` are the formats to write.

    ``boot`` is None in images that boot nothing by themselves. ``slots`` are those of the file, whether a partition of the
    image holds them or not. ``lines`` are those of the keys in the file.
    """

    path: Path
    name: str
    size: int | None
    sector_size: int
    seed: str
    disk_guid: Guid
    outputs: tuple[str, ...]
    boot: Boot | None
    slots: tuple[Slot, ...]
    partitions: tuple[PartitionDefinition, ...]
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)

    def mistake(self, key: str, detail: str) -> Mistake:
        """What is wrong at a key, where only a later step can see it."""
        return Mistake(self.path, key, detail, line_of(key, self.lines))

    def holding(self, kind: type[C]) -> list[tuple[PartitionDefinition, C]]:
        """The partitions whose content is of a class, and that content."""
        found = [(partition, partition.content) for partition in self.partitions]
        return [(partition, content) for partition, content in found if isinstance(content, kind)]

    @cached_property
    def slot_type(self) -> Guid | None:
        """The partition type of its slots, None where there are no slots."""
        return self.slots[0].type_guid if self.slots else None

    def slot_partitions(self) -> list[PartitionDefinition]:
        """The partitions that the selector takes for slots."""
        return [partition for partition in self.partitions if partition.type_guid == self.slot_type]
