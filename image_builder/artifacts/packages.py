"""The packages that are installed in a tree, as dpkg says (dpkg(1), deb-control(5)). Of rpm we know nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from image_builder.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

STATUS = "var/lib/dpkg/status"
STATUS_FOLDER = "var/lib/dpkg/status.d"
"""Of images without dpkg ("distroless"): one file for each package, in the form of its control file."""
_WITHOUT_FILES = frozenset({"not-installed", "config-files"})
"""States of a package (dpkg(1)) of which nothing but settings is in the tree."""
_SOURCE = re.compile(r"(\S+)(?:\s+\((\S+)\))?")


class PackageListError(BuildError):
    """The list of installed packages is damaged."""

    def __init__(self, where: str, number: int, detail: str) -> None:
        super().__init__(f"{where}: package {number}: {detail}; expected the list of dpkg")
        self.where, self.number = where, number


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """An installed package. ``source`` and ``source_version`` name what it was built from; texts may be empty."""

    name: str
    version: str
    architecture: str
    source: str
    source_version: str
    maintainer: str
    homepage: str


def parse_status(text: str, where: str = STATUS) -> tuple[Package, ...]:
    """The installed packages of dpkg's status file, sorted by name. Raises PackageListError."""
    found = []
    for number, fields in enumerate(_stanzas(text), 1):
        state = fields.get("status", "").split()
        if state and state[-1] in _WITHOUT_FILES:
            continue
        for needed in ("package", "version"):
            if not fields.get(needed):
                raise PackageListError(where, number, f"it has no field '{needed.capitalize()}'")
        found.append(_package(fields))
    return tuple(sorted(found))


def parse_status_folder(files: Mapping[str, str]) -> tuple[Package, ...]:
    """The packages of a status.d, given as file name -> text, sorted by name.

    Tools put other things there too (lists of checksums): what has neither name nor version is left out.
    """
    found: set[Package] = set()
    for name, text in files.items():
        if not name.endswith(".md5sums"):
            found.update(
                _package(fields) for fields in _stanzas(text) if fields.get("package") and fields.get("version")
            )
    return tuple(sorted(found))


def packages_in(files: Mapping[str, bytes]) -> tuple[Package, ...] | None:
    """The packages of a tree, of which ``files`` holds (path without leading "/" -> content) at least STATUS and STATUS_FOLDER.

    None where dpkg knows nothing of it. Raises PackageListError.
    """
    texts = {path: content.decode(errors="replace") for path, content in files.items()}
    begin = f"{STATUS_FOLDER}/"
    folder = {path.removeprefix(begin): text for path, text in texts.items() if path.startswith(begin)}
    if STATUS not in texts and not folder:
        return None
    return tuple(sorted({*parse_status(texts.get(STATUS, "")), *parse_status_folder(folder)}))


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Fields by their names in small letters; of those of several lines the first line."""
    fields: dict[str, str] = {}
    for line in _lines(text):
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif line[0] not in " \t#" and ":" in line:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
    if fields:
        yield fields


def _lines(text: str) -> Iterable[str]:
    # Not splitlines: a form feed or U+2028 in a description is no end of a line.
    return text.replace("\r\n", "\n").split("\n")


def _package(fields: Mapping[str, str]) -> Package:
    version = fields["version"]
    source = _SOURCE.match(fields.get("source", ""))
    return Package(
        name=fields["package"],
        version=version,
        architecture=fields.get("architecture", ""),
        source=source[1] if source else fields["package"],
        source_version=(source[2] if source else None) or version,
        maintainer=fields.get("maintainer", ""),
        homepage=fields.get("homepage", ""),
    )
