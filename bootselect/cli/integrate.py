"""``bootselect integrate``: hooks, dracut module and units go into a system and out of it again."""

from __future__ import annotations

from bootselect.integration.command import integrate_command as make_command
from bootselect.integration.places import TOOLS

integrate_command = make_command(
    TOOLS,
    """Put the hooks of initramfs-tools, the module of dracut and the units of systemd into their places.

    With another root, its /usr/bin/python3 is the interpreter of the hooks; else it is the one that runs this.
    """,
)
