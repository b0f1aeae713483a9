"""What a format of disk images is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.run import Runner


class Write(Protocol):
    """Writes ``raw``, a disk image, as another format. ``epoch`` (Unix seconds, UTC) stands where the format has a time.

    Same bytes of ``raw``, same name of ``target``, same tools: same bytes, whatever the holes of ``raw`` are. ``target`` appears
    whole or not at all. Raises OutputFormatError for a disk that the format cannot hold, OutputError, OSError, and what
    ``Runner.run`` raises.
    """

    def __call__(self, runner: Runner, raw: Path, target: Path, *, epoch: int) -> None:
        """See the class."""
        ...


@dataclass(frozen=True, slots=True)
class Output:
    """A format: ``ending`` of its file names, the programs that writing needs, and for whom it is."""

    name: str
    ending: str
    tools: tuple[str, ...]
    about: str
    write: Write
