"""The images of this project. Each is built by a script when a test first wants it, and kept in the cache."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

BUILDERS = Path(__file__).parent.parent / "images"


def build(name: str) -> Path:
    done = subprocess.run([str(BUILDERS / f"{name}.sh")], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())


@pytest.fixture(scope="session")
def debian() -> Path:
    return build("debian")


@pytest.fixture(scope="session")
def busybox() -> Path:
    return build("busybox")


@pytest.fixture(scope="session")
def grub() -> Path:
    return build("grub")
