"""The slot of the default image, made of the real packages."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from image_builder.cache import Cache
from image_builder.content.build import Build
from image_builder.definition.load import load_definition
from image_builder.definition.override import with_slot
from image_builder.epoch import build_epoch
from image_builder.progress import SilentProgress
from tests.image_builder.erofs import extract

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from image_builder.distribution.packages import TargetPackages
    from image_builder.run import SystemRunner

MINIMAL = Path(__file__).parents[3] / "examples/minimal.toml"


@pytest.fixture(scope="session")
def write_slot(
    runner: SystemRunner, target: TargetPackages, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Path]:
    """Write the slot of a version, with files laid over it, to a path. It is made each time, of parts in a new cache."""

    root = tmp_path_factory.mktemp("cache")

    def write(path: Path, version: str = "1", files: Mapping[str, Path] | None = None) -> Path:
        definition = with_slot(load_definition(MINIMAL), version, files)
        shutil.rmtree(root / "slots", ignore_errors=True)
        cache = Cache(root)
        build = Build(definition, runner, cache, SilentProgress(), target, build_epoch())
        made, _ = definition.slots[0].produce(build)
        return made.rename(path)

    return write


@pytest.fixture(scope="session")
def slot(write_slot: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slot(tmp_path_factory.mktemp("slot") / "slot.img")


@pytest.fixture(scope="session")
def root(slot: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the slot, as fsck.erofs extracts them."""
    return extract(slot, tmp_path_factory.mktemp("root") / "root")
