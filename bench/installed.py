"""slotboot as a user has it: ``pip install .`` into a new virtual environment, on the Python of the distribution."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
DISTRIBUTION = Path("/usr/bin/python3")
# What is built here in other ways would be found before what pip installs, or become a part of it.
_LEFT_OUT = shutil.ignore_patterns(".*", "build", "out", "*.egg-info", "__pycache__")


def install(directory: Path) -> Path:
    """The ``bin`` of the environment. The editable install of ``.venv`` slows every start of its Python, a bare one too."""
    source, environment = directory / "source", directory / "installed"
    shutil.copytree(ROOT, source, ignore=_LEFT_OUT)
    python = str(DISTRIBUTION if DISTRIBUTION.exists() else Path(sys.base_prefix) / "bin/python3")
    subprocess.run([python, "-m", "venv", environment], check=True)
    pip = [str(environment / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel"], check=True)
    subprocess.run([*pip, str(source)], check=True)
    return environment / "bin"
