"""The slot of the default image, made of the real packages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from image_builder.cache import cache_root
from image_builder.definition.load import load_definition
from image_builder.definition.override import with_slot
from image_builder.payloads import Payloads
from image_builder.progress import SilentProgress
from tests.image_builder.erofs import extract

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from image_builder.distribution.packages import TargetPackages
    from image_builder.run import SystemRunner

MINIMAL = Path(__file__).parents[3] / "examples/minimal.toml"


@pytest.fixture(scope="session")
def write_slot(runner: SystemRunner, target: TargetPackages) -> Callable[..., Path]:
    """Write the slot of a version, with files laid over it, to a path."""

    def write(path: Path, version: str = "1", files: Mapping[str, Path] | None = None) -> Path:
        definition = with_slot(load_definition(MINIMAL), version, files)
        Payloads(definition, runner, cache_root(), SilentProgress(), target).write_slot(path)
        return path

    return write


@pytest.fixture(scope="session")
def slot(write_slot: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slot(tmp_path_factory.mktemp("slot") / "slot.img")


@pytest.fixture(scope="session")
def root(slot: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the slot, as fsck.erofs extracts them."""
    return extract(slot, tmp_path_factory.mktemp("root") / "root")
