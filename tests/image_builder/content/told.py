"""A progress that remembers its notes."""

from __future__ import annotations

from image_builder.progress import SilentProgress


class Told(SilentProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)
