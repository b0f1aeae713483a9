"""What the making of one image has to work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from image_builder.cache import Cache
    from image_builder.definition.model import Definition
    from image_builder.distribution.packages import TargetPackages
    from image_builder.progress import Progress
    from image_builder.run import Runner


@dataclass(frozen=True)
class Build:
    """One run of the builder. ``epoch`` (seconds) is the time that everything gets.

    ``refresh`` looks for newer packages of the target.
    """

    definition: Definition
    runner: Runner = field(repr=False)
    cache: Cache = field(repr=False)
    progress: Progress = field(repr=False)
    packages: TargetPackages = field(repr=False)
    epoch: int
    refresh: bool = False
