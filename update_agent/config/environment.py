"""Variables of the environment: ``SLOTBOOT_`` and the key in capital letters, as SLOTBOOT_CHECK_INTERVAL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.config.fragment import Fragment
from update_agent.config.settings import ENVIRONMENT, ROWS

if TYPE_CHECKING:
    from collections.abc import Mapping

KEYS = {row.environment: row.key for row in ROWS.values()}
"""Variable -> key of the setting."""
HOOKS = ("SLOTBOOT_EVENT", "SLOTBOOT_OUTCOME", "SLOTBOOT_RUNNING_VERSION", "SLOTBOOT_VERSION")
"""Variables that the agent gives to its hooks, which may call our commands."""
NOT_OURS = ("SLOTBOOT_CACHE", "SLOTBOOT_FULL", "SLOTBOOT_LOGS")
"""Variables of image-builder and of the test harness."""
WHERE = "environment"


def read_environment(environ: Mapping[str, str]) -> Fragment:
    """The assignments; an empty variable sets nothing. Variables of others are left alone."""
    fragment = Fragment(WHERE)
    for name, value in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT) or name in NOT_OURS or name in HOOKS:
            continue
        if name not in KEYS:
            fragment.unknown(name, KEYS)
        elif value:
            fragment.assign(KEYS[name], name, value)
    return fragment
