"""The machine that this program runs on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.active import find_active
from bootselect.formats.decision import DECISION_PATH
from bootselect.policy import DEFAULT_POLICY, POLICIES
from bootselect.slot_disk import SlotDisk
from gptlib.disk import Disk
from update_agent.agent.rebooting import reboot
from update_agent.agent.world import World
from update_agent.boot_chain import BootChain
from update_agent.state.facts import boot_facts, release_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from bootselect.policy import Policy
    from update_agent.agent.shelf import Shelf
    from update_agent.config.settings import Settings

_MACHINE_ID = re.compile(r"[0-9a-f]{32}")


def here(
    settings: Settings, open_shelf: Callable[[], AbstractContextManager[Shelf]], *, root: Path = Path("/")
) -> World:
    """Raises ActiveUnknownError where the system did not come from a slot, and what gptlib raises."""
    active = find_active()
    with Disk.open(active.disk) as disk:
        type_guid = disk.table().partition(active.number).type_guid
    found = SlotDisk.find(active.disk, type_guid)
    policy = _policy(Path(DECISION_PATH))
    release = release_of(root)
    return World(
        settings,
        found,
        settings.name or release.get("IMAGE_ID") or release.get("ID", ""),
        machine_id(root),
        BootChain.running(),
        lambda: boot_facts(found, policy, root=root),
        open_shelf,
        reboot,
    )


def machine_id(root: Path) -> str:
    """That of machine-id(5), in lower-case hexadecimal; empty where there is none (yet)."""
    try:
        text = (root / "etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
    return text if _MACHINE_ID.fullmatch(text) else ""


def _policy(decision: Path) -> Policy:
    """That of the selector, as it left it for the running system."""
    try:
        name = json.loads(decision.read_text(encoding="ascii"))["policy"]
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT_POLICY
    return POLICIES.get(str(name), DEFAULT_POLICY)
