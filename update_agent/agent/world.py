"""What the agent does its work with: settings, clock, disk, repository, and how the machine reboots. All of it is passed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from update_agent.agent.choice import Identity
from update_agent.repository.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from bootselect.slot_disk import SlotDisk
    from update_agent.agent.selector import Selector
    from update_agent.agent.shelf import Shelf
    from update_agent.boot_chain import BootChain
    from update_agent.config.settings import Settings
    from update_agent.state.resume import BootFacts

JOURNAL = "installation.journal"
"""The file in the state's folder that says which segments are in the slot."""
TRUST = "repository"
"""The folder there with the metadata of the repository that were checked."""
CANCEL = "cancel"
"""The file there that tells whoever installs to stop."""


@dataclass(frozen=True)
class World:
    """``facts`` looks at the machine anew each time. ``name`` is that of its images, ``machine_id`` that of machine-id(5), or empty.

    ``open_shelf`` opens the repository of the settings; ``reboot`` asks the machine to, and returns. ``selector``: the server that says
    which release is taken, where the settings name one.
    """

    settings: Settings
    found: SlotDisk
    name: str
    machine_id: str
    chain: BootChain | None
    facts: Callable[[], BootFacts]
    open_shelf: Callable[[], AbstractContextManager[Shelf]]
    reboot: Callable[[], None]
    clock: Clock = field(default_factory=Clock)
    selector: Selector | None = None

    @property
    def folder(self) -> Path:
        """Of the state."""
        return Path(self.settings.state_folder)

    def identity(self, facts: BootFacts) -> Identity:
        """What the machine is to a repository."""
        version = facts.versions.get(facts.running, "unknown")
        return Identity(self.name, version, self.settings.group, self.found.type_guid, self.machine_id, self.chain)
