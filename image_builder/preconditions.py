"""What can be found out before anything slow begins."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from image_builder.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from image_builder.run import Runner


def check_preconditions(runner: Runner, out_dir: Path, tools: Iterable[str]) -> None:
    """Make the output folder, and see that the tools are there. Raises OutputError and MissingToolError."""
    for tool in sorted(set(tools)):
        runner.tool(tool)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(out_dir, error.strerror or str(error)) from error
    if not os.access(out_dir, os.W_OK | os.X_OK):
        raise OutputError(out_dir, os.strerror(errno.EACCES))
