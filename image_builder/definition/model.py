"""What an image is made of, as values. ``image_builder.definition.load`` makes them from a TOML file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from gptlib.table.attributes import Attributes
    from gptlib.table.guid import Guid

MIB = 1 << 20
ALIGNMENT = MIB
"""Bytes: partitions start and end on multiples of this, so that no page of 4 KiB belongs to two of them."""

ESP, SLOT, STATE, EMPTY = "esp", "slot", "state", "empty"
CONTENTS = (ESP, SLOT, STATE, EMPTY)
"""What a partition can hold besides the bytes of a file."""
COMPRESSIONS = ("none", "lz4", "lz4hc")
INITRAMFS_COMPRESSIONS = ("lz4", "zstd")
ACTIONS = ("rescue", "reboot", "poweroff")


@dataclass(frozen=True)
class Boot:
    """How the slots are booted: a UKI on the EFI system partition, with the selector in its initramfs.

    ``cmdline`` is added to what the boot chain itself needs; ``compression`` is that of the initramfs. The others are
    settings of the selector (docs/bootselect.md); ``watchdog`` is in seconds, 0 for none.
    """

    kind: str
    cmdline: str
    policy: str
    on_nothing_bootable: str
    compression: str
    hand_over: str
    verity: str
    watchdog: int


@dataclass(frozen=True)
class SlotFile:
    """A file of the building machine, and the absolute path that it gets in a slot."""

    path: str
    source: Path


@dataclass(frozen=True)
class SlotDefinition:
    """The system in the slots. ``type`` is the partition type of slots as the definition names it.

    ``modules`` are kernel modules that its init loads; ``os_release`` holds the fields besides the version's.
    ``verity``: the slot is sealed with a dm-verity tree. ``kernel``: it brings a kernel and initramfs of its own.
    ``files`` are laid over all of this.
    """

    kind: str
    type: str
    version: str
    filesystem: str
    compression: str
    verity: bool
    kernel: bool
    modules: tuple[str, ...]
    os_release: tuple[tuple[str, str], ...]
    files: tuple[SlotFile, ...]

    def release_text(self) -> str:
        """The content of /etc/os-release, as os-release(5) has it."""
        fields = {**dict(self.os_release), "VERSION": self.version, "VERSION_ID": self.version}
        return "".join(f'{name}="{_quoted(value)}"\n' for name, value in fields.items())


def _quoted(value: str) -> str:
    return "".join(f"\\{character}" if character in '"$`\\' else character for character in value)


@dataclass(frozen=True)
class PartitionDefinition:
    """A partition. ``size`` and ``start`` are bytes; ``start`` None means after the partition before it.

    ``content`` is one of CONTENTS or the path of a file whose bytes it gets.
    """

    number: int
    label: str
    type_guid: Guid
    size: int
    start: int | None
    content: str | Path
    unique_guid: Guid
    attributes: Attributes


@dataclass(frozen=True)
class Definition:
    """An image. ``size`` is in bytes, None where it follows from the partitions.

    ``boot`` and ``slot`` are None in images that no partition needs them for.
    """

    path: Path
    name: str
    size: int | None
    sector_size: int
    seed: str
    disk_guid: Guid
    boot: Boot | None
    slot: SlotDefinition | None
    partitions: tuple[PartitionDefinition, ...]

    def holding(self, content: str) -> tuple[PartitionDefinition, ...]:
        """The partitions with this content, one of CONTENTS."""
        return tuple(partition for partition in self.partitions if partition.content == content)
