"""The command line of the kernels that we start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from image_builder.definition.model import Boot

CMDLINE = "gpt panic=-1 oops=panic console=tty0 console=ttyS0"
"""What every kernel of ours gets. ``gpt``: Linux otherwise shows no partitions while the primary table is half written.
``panic=-1``: a slot that panics is rebooted at once, which takes one of its tries."""


def kernel_command_line(boot: Boot) -> str:
    """What every kernel of ours gets, and what the definition adds."""
    return f"{CMDLINE} {boot.cmdline}".strip()
