"""Installs an update into the passive slot, in an order that a power cut cannot turn into a half-written bootable slot."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootselect import verbs
from bootselect.initramfs.selector import partition_node
from gptlib.disk import Disk
from update_agent.errors import TooLargeError, VerifyError
from update_agent.slot_writer import SlotWriter

if TYPE_CHECKING:
    from collections.abc import Callable

    from bootselect.cli.target import SlotDisk
    from gptlib.table import Table
    from update_agent.medium import Update

    Report = Callable[[str, int, int], None]
    """(what is being done, bytes done, bytes in all)."""


@dataclass(frozen=True)
class Installed:
    """An update that will be tried at the next boot."""

    version: str
    label: str
    partition: int
    tries: int


def install(update: Update, found: SlotDisk, slot: str | None, tries: int, report: Report) -> Installed:
    """Clear the passive slot, write it, read it back, and arm it.

    On the disk, whatever happens and whenever: the active slot is as it was. Before the last step the passive slot is
    0/0/0 (it will not be booted), after it the whole verified update is tried. Raises TooLargeError and SlotBusyError
    (nothing written), SlotWriteError, VerifyError, and what bootselect's verbs and gptlib raise.
    """
    table = _read_table(found)
    number = found.named_or_passive(table, slot)
    partition = table.partition(number)
    capacity = partition.sectors * table.sector_size
    if update.size > capacity:
        raise TooLargeError(str(update.image), update.size, partition.label, capacity)
    verbs.arm(table, found.type_guid, number, tries)  # what would be refused in the end is refused at once
    with _open_slot(found.path, table, number) as writer:
        found.change(lambda table: verbs.clear(table, number))
        with update.image.open("rb") as source:
            written = writer.write(source, lambda done: report("writing", done, update.size))
        if written != update.sha256:
            raise VerifyError(str(update.image), "the slot image", written, update.sha256)
        stored = writer.read_back(update.size, lambda done: report("verifying", done, update.size))
        if stored != update.sha256:
            raise VerifyError(writer.path, "what the slot holds", stored, update.sha256)
    found.change(lambda table: verbs.arm(table, found.type_guid, number, tries))
    return Installed(update.version, partition.label, number, tries)


def _read_table(found: SlotDisk) -> Table:
    with Disk.open(found.path) as disk:
        return disk.table()


def _open_slot(path: str, table: Table, number: int) -> SlotWriter:
    if stat.S_ISBLK(os.stat(path).st_mode):  # noqa: PTH116
        return SlotWriter(partition_node(path, number))
    return SlotWriter(path, table.partition(number).first_lba * table.sector_size)
