"""Installs operating-system updates into the passive slot: the command ``updatectl``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gptlib import __version__ as __version__


def __getattr__(name: str) -> object:
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Asked of gptlib, as naming importlib.metadata here would put it into every initramfs.
    import gptlib

    return gptlib.__version__
