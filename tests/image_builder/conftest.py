"""The real packages of the target, as a build finds them: in the user's cache, downloaded once."""

from __future__ import annotations

import pytest

from image_builder.cache import Cache, cache_root
from image_builder.distribution.packages import TargetPackages
from image_builder.run import SystemRunner


@pytest.fixture(scope="session")
def runner() -> SystemRunner:
    return SystemRunner()


@pytest.fixture(scope="session")
def target(runner: SystemRunner) -> TargetPackages:
    return TargetPackages(runner, Cache(cache_root()))
