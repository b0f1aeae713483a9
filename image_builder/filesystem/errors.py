"""What can be wrong with the content of a file system: one class per situation, each with the path and the values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from image_builder.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from image_builder.filesystem.compare import Difference
    from image_builder.filesystem.listing import Listing

_SHOWN = 3


def printable(path: bytes) -> str:
    """A path inside a file system on one line of text, whatever bytes it has; ``/`` for the root."""
    text = path.decode("utf-8", "backslashreplace")
    return (
        "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text) or "/"
    )


def _some(shown: Sequence[str], count: int) -> str:
    return "; ".join(shown) + (f"; and {count - len(shown)} more" if count > len(shown) else "")


class UnreadableError(BuildError):
    """Files or folders of a tree cannot be read: an image of it would lack them. Nothing was written."""

    def __init__(self, root: Path, problems: Sequence[tuple[bytes, str]]) -> None:
        self.root, self.problems = root, tuple(problems)
        shown = [f"{printable(path)}: {reason}" for path, reason in problems[:_SHOWN]]
        super().__init__(
            f"{root}: {len(problems)} of its files or folders cannot be read ({_some(shown, len(problems))}); make them readable "
            "or build as their owner"
        )


class ArchiveError(BuildError):
    """An archive is damaged, cut off, or holds what no file system can. Nothing was written."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, problem


class BadFileSystemError(BuildError):
    """A file-system image is damaged, or is none of the kind that it should be. It was only read."""

    def __init__(self, path: Path, kind: str, problem: str) -> None:
        super().__init__(f"{path}: no sound {kind} file system: {problem}; make the image again")
        self.path, self.kind, self.problem = path, kind, problem


class UnreadableFeatureError(BuildError):
    """A file-system image is sound as far as one can see, but has a feature that this reader does not know. It was only read."""

    def __init__(self, path: Path, kind: str, feature: str, remedy: str) -> None:
        super().__init__(f"{path}: cannot read this {kind} file system: {feature}; {remedy}")
        self.path, self.kind, self.feature = path, kind, feature


class NoPlaceError(BuildError):
    """A file system has no place for some of the metadata of its source. Nothing was kept of it."""

    def __init__(self, slot: str, kind: str, expected: Listing, held: Listing) -> None:
        lost = sorted(path for path, entry in expected.items() if held[path] != entry)
        names = sorted(
            {name.decode() for path in lost for name, _ in set(expected[path].xattrs) - set(held[path].xattrs)}
        )
        shown = [printable(path) for path in lost[:_SHOWN]]
        super().__init__(
            f"{slot}: {kind} has no place for {', '.join(names)} of {len(lost)} files ({_some(shown, len(lost))}); expected another "
            f'{slot}.filesystem, or {slot}.unsupported = "drop" to leave them out'
        )
        self.slot, self.kind, self.paths = slot, kind, tuple(lost)


class NotKeptError(BuildError):
    """A finished file system is not what it was made of. It must not be used."""

    def __init__(self, path: Path, differences: Sequence[Difference]) -> None:
        self.path, self.differences = path, tuple(differences)
        super().__init__(
            f"{path}: {len(differences)} differences from what it was made of "
            f"({_some([str(difference) for difference in differences[:_SHOWN]], len(differences))}); the image is not used"
        )
