"""The image and the updates that the story needs, made by image_builder from one definition."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qemu_tests.story.broken_slots import broken_slot
from qemu_tests.story.scenes import BREAKAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from image_builder.progress import Progress

GOOD = "good"


@dataclass(frozen=True)
class Materials:
    """``image`` holds version 1; ``updates`` are media by name: ``good`` is version 2, the broken ones version 3."""

    image: Path
    updates: Mapping[str, Path]

    def to_json(self) -> dict[str, str]:
        """Path by name, as ``from_json`` takes it."""
        return {"image": str(self.image), **{name: str(path) for name, path in self.updates.items()}}

    @classmethod
    def from_json(cls, paths: Mapping[str, str]) -> Materials:
        """The inverse of ``to_json``."""
        updates = {name: Path(path) for name, path in paths.items() if name != "image"}
        return cls(Path(paths["image"]), updates)


def build_materials(definition: Path, folder: Path, progress: Progress | None = None) -> Materials:
    """Build everything in ``folder``. Raises image_builder's BuildError."""
    from image_builder.api import build_artifact, build_image

    folder.mkdir(parents=True, exist_ok=True)
    image = build_image(definition, folder, version="1", progress=progress)
    updates = {GOOD: build_artifact(definition, folder, version="2", progress=progress).medium}
    for breakage in BREAKAGES:
        # A folder of its own for each: all are version 3.
        where = folder / breakage.name
        where.mkdir(exist_ok=True)
        files = broken_slot(breakage.name)
        updates[breakage.name] = build_artifact(definition, where, version="3", files=files, progress=progress).medium
    return Materials(image.path, updates)
