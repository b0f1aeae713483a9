"""The time that everything in an image has."""

from __future__ import annotations

EPOCH = 1704067200
"""2024-01-01 00:00:00 UTC, in seconds. FAT can say nothing before 1980."""
