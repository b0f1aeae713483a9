"""All kinds of slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from image_builder.content.debian import Debian
from image_builder.content.image import Image
from image_builder.content.tar import Tar
from image_builder.content.tiny import Tiny
from image_builder.content.tree import Tree

if TYPE_CHECKING:
    from image_builder.content.system import System
    from image_builder.definition.section import Section

    class _Reads(Protocol):
        def read(self, section: Section, /) -> System: ...


SYSTEMS: dict[str, _Reads] = {kind.kind: kind for kind in (Tree, Tar, Image, Debian, Tiny)}
