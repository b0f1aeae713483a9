"""The version of slotboot, from the metadata of its installation. Loading that takes longer than a whole boot: see ``gptlib``."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("slotboot")
except PackageNotFoundError:
    raise AttributeError("slotboot is not installed, so its version is not known") from None
