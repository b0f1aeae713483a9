"""A partition that nothing is written to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from image_builder.content.build import Build
    from image_builder.definition.model import Definition, PartitionDefinition


@dataclass(frozen=True)
class Empty:
    """Zeros. ``stated`` where the definition says so: a partition that others would fill is left empty on purpose."""

    stated: bool = True

    @property
    def name(self) -> str:
        """See ``Content``."""
        return "empty"

    def tools(self, definition: Definition) -> Iterable[str]:  # noqa: ARG002
        """None."""
        return ()

    def mistakes(self, definition: Definition) -> Iterator[tuple[str, str]]:  # noqa: ARG002
        """None."""
        return iter(())

    def payload(self, build: Build, partition: PartitionDefinition) -> None:  # noqa: ARG002
        """There is none."""
        return
