"""All kinds of boot loaders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from image_builder.loader.uki import Uki

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from image_builder.content.build import Build
    from image_builder.definition.model import Definition


class Loader(Protocol):
    """Starts the kernel and the initramfs of a definition."""

    @property
    def kind(self) -> str:
        """How ``boot.kind`` names it."""
        ...

    @property
    def places(self) -> tuple[str, ...]:
        """What it puts on the EFI system partition: paths without a leading ``/``."""
        ...

    def tools(self, definition: Definition) -> Iterable[str]:
        """The programs that it takes to make it."""
        ...

    def files(self, build: Build) -> Mapping[str, Path]:
        """Its files by their places. Raises what the packages, the tools and the cache raise."""
        ...


LOADERS: dict[str, Loader] = {loader.kind: loader for loader in (Uki(),)}
