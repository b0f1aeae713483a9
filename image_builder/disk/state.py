"""The state partition: an empty ext4."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_builder.definition.identity import derived_uuid
from image_builder.epoch import EPOCH

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.definition.model import Definition, PartitionDefinition
    from image_builder.run import Runner

_BLOCK = 4096
"""Bytes: works on disks of both sector sizes, and a small file system would otherwise get 1024."""


def make_state(runner: Runner, output: Path, definition: Definition, partition: PartitionDefinition) -> None:
    """Write an empty ext4 to ``output``; same inputs, same bytes. Raises what ``Runner.run`` raises."""
    with output.open("wb") as file:
        file.truncate(partition.size)
    uuid = derived_uuid(definition.seed, f"ext4 {partition.label}")
    # Everything is initialised here: what the kernel would do at the first mount would take time from the first boot.
    extended = f"hash_seed={uuid},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0"
    argv = ["mkfs.ext4", "-q", "-b", str(_BLOCK), "-m", "0", "-L", partition.label[:16], "-U", uuid, "-E", extended]
    # mke2fs knows the second name since 1.47.1 only.
    runner.run([*argv, output], env={"E2FSPROGS_FAKE_TIME": str(EPOCH), "SOURCE_DATE_EPOCH": str(EPOCH)})
