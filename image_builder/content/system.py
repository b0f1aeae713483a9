"""What every kind of slot is to the rest of the builder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from image_builder.content.build import Build
    from image_builder.content.slot import Slot
    from image_builder.definition.model import SlotFile
    from image_builder.filesystem.source import ImageSource, Source


@dataclass(frozen=True)
class Facts:
    """What was found out about the system in a slot when it was made.

    ``releases`` are those of the kernels that it has modules for; ``root_hash`` is that of its seal in lower-case
    hexadecimal, None where it has none; ``records`` are files by their paths in it: its os-release, and what dpkg knows of its
    packages.
    """

    releases: tuple[str, ...] = ()
    root_hash: str | None = None
    records: Mapping[str, str] = field(default_factory=dict, repr=False)

    def to_json(self) -> str:
        """For a file beside the slot."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """What ``to_json`` has written."""
        fields = json.loads(text)
        return cls(tuple(fields["releases"]), fields["root_hash"], fields["records"])


class System(Protocol):
    """Says what is in a slot. A value, read from the section of the slot."""

    @property
    def kind(self) -> str:
        """How ``slot.NAME.kind`` names it."""
        ...

    def tools(self, slot: Slot) -> Iterable[str]:
        """The programs that it takes to have it, without those of its file system."""
        ...

    def mistakes(self, slot: Slot) -> Iterator[tuple[str, str]]:
        """What is wrong with it, as keys of the section and details; found without making anything."""
        ...

    def key(self, build: Build, slot: Slot) -> str:
        """Changes whenever what ``source`` gives does."""
        ...

    def source(self, build: Build, slot: Slot, files: Sequence[SlotFile], folder: Path) -> Source | ImageSource:
        """The files, with ``files`` laid over them, in ``folder`` (empty, for whatever has to be made) or elsewhere. What is elsewhere is not written to."""
        ...
