"""What can be found out before anything slow begins."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from image_builder.definition.model import ESP, SLOT, STATE
from image_builder.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from image_builder.definition.model import Definition
    from image_builder.run import Runner

_TOOLS = {
    ESP: ("mkfs.fat", "mmd", "mcopy", "objcopy", "objdump", "readelf"),
    SLOT: ("mkfs.erofs", "readelf"),
    STATE: ("mkfs.ext4",),
}


def _tools(definition: Definition, content: str) -> list[str]:
    tools = list(_TOOLS.get(content, ()))
    boot, slot = definition.boot, definition.slot
    if boot is not None and (content == ESP or (content == SLOT and slot is not None and slot.kernel)):
        tools.append(boot.compression)
    if slot is not None and slot.verity and content == SLOT:
        tools.append("veritysetup")
    return tools


def check_preconditions(runner: Runner, out_dir: Path, definition: Definition, contents: Iterable[object]) -> None:
    """Make the output folder, and see that the tools for these contents are there. Raises OutputError and MissingToolError."""
    for content in sorted(content for content in contents if isinstance(content, str)):
        for tool in _tools(definition, content):
            runner.tool(tool)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(out_dir, error.strerror or str(error)) from error
    if not os.access(out_dir, os.W_OK | os.X_OK):
        raise OutputError(out_dir, os.strerror(errno.EACCES))
