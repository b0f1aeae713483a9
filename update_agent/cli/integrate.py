"""``updatectl integrate``: the agent's unit, its policy for the message bus and its explanations for the journal go into a system."""

from __future__ import annotations

from pathlib import Path

from bootselect.integration.command import integrate_command
from bootselect.integration.places import Tool

_HOME = Path(__file__).parents[1] / "integration"
_XML = ("<!-- ", " -->")
TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "systemd",
            "systemd",
            "etc/systemd/system",
            "usr/lib/systemd/system",
            "nothing: the agent starts with the next boot",
            ("*.wants",),
            home=_HOME,
            by="updatectl",
        ),
        Tool(
            "dbus",
            "dbus",
            "etc/dbus-1/system.d",
            "usr/share/dbus-1/system.d",
            "systemctl reload dbus, or the next boot",
            home=_HOME,
            comment=_XML,
            by="updatectl",
        ),
        Tool(
            "journal",
            "catalog",
            "usr/lib/systemd/catalog",
            "usr/lib/systemd/catalog",
            "journalctl --update-catalog",
            home=_HOME,
            by="updatectl",
        ),
    )
}

integrate = integrate_command(
    TOOLS,
    """Put the agent's unit, its policy for the message bus and its explanations for the journal into their places.

    For who has slotboot from PyPI; a package of the distribution brings them.
    """,
)
