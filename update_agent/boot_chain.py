"""Whether the boot chain of this machine can run a slot: its kernel must be able to load the slot's modules, or start its kernel."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.formats.slot_files import HANDED_OVER
from update_agent.errors import KernelMismatchError

if TYPE_CHECKING:
    from update_agent.offer import Offer

_CMDLINE = Path("/proc/cmdline")


@dataclass(frozen=True)
class BootChain:
    """``release`` is that of the kernel that runs; ``hands_over``: it was started from the slot, by kexec."""

    release: str
    hands_over: bool

    @classmethod
    def running(cls) -> BootChain:
        """That of the running system, as /proc/cmdline and uname(2) tell."""
        words = _CMDLINE.read_text(encoding="utf-8", errors="replace").split()
        return cls(os.uname().release, any(word.startswith(HANDED_OVER) for word in words))

    def require(self, update: Offer) -> None:
        """Raise KernelMismatchError for a slot that this chain could boot, but not run.

        A slot without modules is taken: its kernel may have all that it needs built in. So is one that does not say.
        """
        if self.hands_over:
            if update.releases is not None and not update.own_kernel:
                raise KernelMismatchError(
                    update.shown,
                    "it brings no kernel of its own, and the boot chain of this machine starts the slot's (hand-over=kexec)",
                )
        elif update.releases and self.release not in update.releases:
            known = ", ".join(update.releases)
            raise KernelMismatchError(
                update.shown,
                f"it has modules for kernel {known}, and the boot chain of this machine has kernel {self.release}",
            )
