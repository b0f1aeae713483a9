"""Installs operating-system updates into the passive slot: the command ``updatectl``."""

from __future__ import annotations

from gptlib import __version__ as __version__
