"""The command line of the kernels that we start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_builder.definition.model import REPLACE

if TYPE_CHECKING:
    from image_builder.definition.model import Boot

CMDLINE = "gpt panic=-1 oops=panic console=tty0 console=ttyS0"
"""What every kernel of ours gets. ``gpt``: Linux otherwise shows no partitions while the primary table is half written.
``panic=-1``: a slot that panics is rebooted at once, which takes one of its tries."""


def kernel_command_line(boot: Boot) -> str:
    """What every kernel of ours gets, and what the definition adds; or what the definition has in its place."""
    return boot.cmdline if boot.cmdline_mode == REPLACE else f"{CMDLINE} {boot.cmdline}".strip()
