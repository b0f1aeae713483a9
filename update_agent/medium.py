"""Update media: a folder, or a block device or file with an erofs, that holds ``update.json`` and ``slot.img``."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bootselect.slots import slot_type
from gptlib.errors import InvalidValueError
from update_agent.errors import MediumError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gptlib.guid import Guid

FORMAT = 1
DESCRIPTION, IMAGE = "update.json", "slot.img"


@dataclass(frozen=True)
class Update:
    """What a medium offers: ``size`` in bytes and ``sha256`` in lower-case hexadecimal of the slot image."""

    name: str
    version: str
    slot_type: Guid
    size: int
    sha256: str
    image: Path


def read_update(folder: Path) -> Update:
    """Read and check the description. Raises MediumError."""
    description = folder / DESCRIPTION
    try:
        fields = json.loads(description.read_text(encoding="utf-8"))
        if fields["format"] != FORMAT:
            raise MediumError(str(description), f"its format is {fields['format']!r}; this program knows {FORMAT}")
        update = Update(
            name=str(fields["name"]),
            version=str(fields["version"]),
            slot_type=slot_type(str(fields["slot-type"])),
            size=int(fields["size"]),
            sha256=str(fields["sha256"]).lower(),
            image=folder / IMAGE,
        )
        actual = update.image.stat().st_size
    except KeyError as error:
        raise MediumError(str(description), f"the field {error} is missing") from error
    except (OSError, ValueError, TypeError, InvalidValueError) as error:
        raise MediumError(str(description), str(error)) from error
    if actual != update.size or update.size <= 0:
        raise MediumError(str(update.image), f"it has {actual} bytes, the description says {update.size}")
    return update


@contextlib.contextmanager
def open_medium(path: Path) -> Iterator[Update]:
    """The update of a folder, or of a medium that is mounted read-only meanwhile. Raises MediumError."""
    if path.is_dir():
        yield read_update(path)
        return
    if not path.exists():
        raise MediumError(str(path), "there is no such device, file or folder")
    with tempfile.TemporaryDirectory(prefix="slotboot-medium-") as folder:
        options = "ro" if path.is_block_device() else "ro,loop"
        _mount(["mount", "-t", "erofs", "-o", options, str(path), folder], path)
        try:
            yield read_update(Path(folder))
        finally:
            _mount(["umount", folder], path)


def _mount(argv: list[str], path: Path) -> None:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise MediumError(str(path), f"the program {argv[0]} is missing") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise MediumError(str(path), said[0] if said else f"{argv[0]} exited with {done.returncode}")
