"""Boots real disk images in QEMU: the harness, the story of an update, the suites and the pytest plugin.

Nothing outside ``plugin`` and ``suites`` imports pytest, so that programs can use the harness as well.
"""

from __future__ import annotations

from gptlib import __version__ as __version__
