"""Installs an update into the passive slot, in an order that a power cut cannot turn into a half-written bootable slot."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bootselect import verbs
from gptlib.disk import Disk
from update_agent.errors import SlotChangedError, TooLargeError, VerifyError
from update_agent.open_slot import open_slot
from update_agent.stop import uninterrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bootselect.slot_disk import SlotDisk
    from gptlib.table.table import Table
    from update_agent.boot_chain import BootChain
    from update_agent.medium import Update
    from update_agent.slot_writer import SlotWriter, Source

    Report = Callable[[str, int, int], None]
    """(what is being done, bytes done, bytes in all)."""


@dataclass(frozen=True)
class Installed:
    """An update that will be tried at the next boot."""

    version: str
    label: str
    partition: int
    tries: int


def install(
    update: Update,
    found: SlotDisk,
    slot: str | None,
    tries: int,
    report: Report,
    now: Callable[[str], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
    chain: BootChain | None = None,
) -> Installed:
    """Clear the passive slot, write it, read it back, and arm it.

    On the disk, whatever happens and whenever: the active slot is as it was. Before the last step the passive slot is
    0/0/0 (it will not be booted), after it the whole verified update is tried. ``now`` is told what holds from here on, in
    words, for whoever is stopped by a signal; ``tell`` what a write of the table had to leave alone. ``chain`` is the boot chain of
    the running system, which counts where that came from this disk. Raises TooLargeError, KernelMismatchError and
    SlotBusyError (nothing written), MediumError, ImageReadError, SlotWriteError, VerifyError, SlotChangedError, and what
    bootselect's verbs and gptlib raise.
    """
    # Open until the end: the device, or the file, that everything below is about stays the same.
    with Disk.open(found.path) as disk:
        table = disk.table()
        number = found.named_or_passive(table, slot)
        partition = table.partition(number)

        def armed(table: Table) -> Table:
            return verbs.arm(table, found.type_guid, number, tries)

        if chain is not None and found.active is not None:
            chain.require(update)
        found.decide(table, armed)  # what would be refused in the end is refused at once
        capacity = partition.sectors * table.sector_size
        if update.size > capacity:
            raise TooLargeError(update.shown, update.size, partition.label, capacity)
        with update.open_image() as source, open_slot(disk, table, number) as writer:
            cleared = f"slot {partition.label} (partition {number}) stays out of use (0/0/0)"
            found.change(
                lambda new: verbs.clear(_unmoved(found.path, table, new, number), number),
                tell,
                lambda: _settling(now, cleared),
            )
            _write_verified(update, source, writer, report)
            done = (
                f"version {update.version} is in {partition.label} (partition {number}) and is tried at the next boot"
            )
            found.change(
                lambda new: armed(_unmoved(found.path, table, new, number)), tell, lambda: _settling(now, done)
            )
    return Installed(update.version, partition.label, number, tries)


@contextmanager
def _settling(now: Callable[[str], None], holds: str) -> Iterator[None]:
    """A write of the table that no signal cuts in two, and whose result is known to whoever is stopped after it."""
    with uninterrupted():
        yield
        now(holds)


def _write_verified(update: Update, source: Source, writer: SlotWriter, report: Report) -> None:
    written = writer.write(source, update.size, lambda done: report("writing", done, update.size))
    if written != update.sha256:
        raise VerifyError(source.shown, "the slot image", written, update.sha256)
    stored = writer.read_back(update.size, lambda done: report("verifying", done, update.size))
    if stored != update.sha256:
        raise VerifyError(writer.path, "what the slot holds", stored, update.sha256)


def _unmoved(path: str, before: Table, now: Table, number: int) -> Table:
    """The table as it is now. Raises SlotChangedError unless it still has the slot where ``before`` has it."""
    if now.disk_guid != before.disk_guid or now.partitions.get(number) is None:
        raise SlotChangedError(path, number)
    old, new = before.partition(number), now.partition(number)
    if new._replace(attributes=old.attributes) != old:
        raise SlotChangedError(path, number)
    return now
