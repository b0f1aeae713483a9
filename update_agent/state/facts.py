"""Looks at the running machine, for ``resume``: the boot, the slots, the versions. Nothing is written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.errors import ActiveUnknownError
from bootselect.formats.slot_files import OS_RELEASE, VERSION_FIELDS
from bootselect.policy import choose
from gptlib.disk import Disk
from update_agent.state.resume import BootFacts

if TYPE_CHECKING:
    from bootselect.policy import Policy
    from bootselect.slot_disk import SlotDisk

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_facts(found: SlotDisk, policy: Policy, *, root: Path = Path("/"), boot_id: Path = BOOT_ID) -> BootFacts:
    """The facts of the machine that runs from ``found``; ``root`` is where its system is.

    Raises ActiveUnknownError where the running system did not come from that disk, OSError, and what gptlib and bootselect raise.
    """
    if found.active is None:
        raise ActiveUnknownError(f"the running system did not come from {found.path}")
    with Disk.open(found.path) as disk:
        table = disk.table()
    slots = found.slots(table)
    choice = choose(policy, slots)
    names = {slot.number: table.partition(slot.number).unique_guid.text for slot in slots}
    if found.active not in names:
        raise ActiveUnknownError(f"partition {found.active} of {found.path}, from which the system runs, is no slot")
    running = names[found.active]
    return BootFacts(
        boot_id.read_text(encoding="ascii").strip(),
        running,
        {names[slot.number]: slot.attributes for slot in slots},
        names[choice.number] if choice else None,
        {running: version_of(root)},
    )


def version_of(root: Path) -> str:
    """The version that a system calls itself, as the selector shows it; ``unknown`` where it does not say."""
    fields = release_of(root)
    return next((fields[name] for name in VERSION_FIELDS if fields.get(name)), "unknown")


def release_of(root: Path) -> dict[str, str]:
    """The fields of os-release(5) of the system below ``root``; none where it has no such file."""
    for place in OS_RELEASE:
        try:
            text = (root / place).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        lines = (line.partition("=") for line in text.splitlines())
        return {name: value.strip("\"'") for name, _, value in lines}
    return {}
