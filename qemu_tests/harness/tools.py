"""Programs of the machine, as image_builder finds and runs them, with the errors of the harness."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from image_builder import errors as building
from image_builder.run import SystemRunner
from qemu_tests.errors import MissingToolError, ToolFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def find_tool(name: str) -> str:
    """The path of a program. Raises MissingToolError."""
    try:
        return SystemRunner().tool(name)
    except building.MissingToolError as error:
        raise MissingToolError(error) from error


def run_tool(name: str, *arguments: str | Path, pass_fds: Sequence[int] = ()) -> str:
    """Run a program to its end and return what it wrote on standard output. Raises MissingToolError, ToolFailedError.

    It has the caller's environment, in the locale C. A path reaches it as an absolute one, so that no name is taken for an
    option, a drive or a protocol.
    """
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        return SystemRunner(pass_fds=pass_fds).run([name, *arguments], env=environment).decode(errors="replace")
    except building.MissingToolError as error:
        raise MissingToolError(error) from error
    except building.ToolFailedError as error:
        raise ToolFailedError(error) from error
