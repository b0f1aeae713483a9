"""The packages of a slot as an SPDX 2.3 document in JSON (https://spdx.github.io/spdx-spec/v2.3/): what scanners read."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from image_builder import __version__
from image_builder.definition.identity import derived_uuid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from image_builder.artifacts.packages import Package

_DOCUMENT, _SLOT = "SPDXRef-DOCUMENT", "SPDXRef-Slot"
_NOTHING = "NOASSERTION"
_MAINTAINER = re.compile(r"\s*(.*?)\s*(?:<([^<>]*)>)?\s*", re.DOTALL)
_URL = re.compile(r"https?://[^\s]+")


def spdx_document(
    packages: Sequence[Package],
    *,
    name: str,
    version: str,
    slot: str,
    sha256: str,
    seed: str,
    epoch: int,
    distribution: str = "debian",
) -> str:
    """The document as JSON text; same arguments, same text.

    ``slot`` is the file name of the slot, ``sha256`` (lower-case hexadecimal) its digest, ``epoch`` Unix seconds, ``distribution``
    the ID of os-release(5), which package URLs name.
    """
    identifiers = _identifiers(packages)
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": _DOCUMENT,
        "name": f"{name}-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/{quote(name)}-{quote(version)}-{derived_uuid(seed, f'spdx {sha256}')}",
        "creationInfo": {
            "created": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": [f"Tool: slotboot-{__version__}"],
        },
        "packages": [
            _slot(name, version, slot, sha256),
            *(_package(package, identifiers[package], distribution) for package in packages),
        ],
        "relationships": [
            _relationship(_DOCUMENT, "DESCRIBES", _SLOT),
            *(_relationship(_SLOT, "CONTAINS", identifiers[package]) for package in packages),
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def package_url(package: Package, distribution: str) -> str:
    """``pkg:deb/debian/NAME@VERSION?arch=...``, as https://github.com/package-url/purl-spec has it."""
    place = f"pkg:deb/{_percent(distribution)}/{_percent(package.name)}@{_percent(package.version)}"
    return f"{place}?arch={_percent(package.architecture)}" if package.architecture else place


def _percent(text: str) -> str:
    # The rules of package URLs leave the colon (of an epoch) as it is.
    return quote(text, safe=":")


def _identifiers(packages: Sequence[Package]) -> dict[Package, str]:
    """SPDX identifiers, which know letters, digits, '.' and '-' only: a number makes them different where names are not."""
    found: dict[Package, str] = {}
    taken: set[str] = set()
    for package in packages:
        plain = re.sub(r"[^A-Za-z0-9.-]", "-", f"SPDXRef-Package-{package.name}-{package.architecture or 'any'}")
        identifier, number = plain, 1
        while identifier in taken:
            number += 1
            identifier = f"{plain}-{number}"
        taken.add(identifier)
        found[package] = identifier
    return found


def _common(name: str, version: str, identifier: str) -> dict[str, object]:
    return {
        "SPDXID": identifier,
        "name": name,
        "versionInfo": version,
        "downloadLocation": _NOTHING,
        "filesAnalyzed": False,
        "licenseConcluded": _NOTHING,
        "licenseDeclared": _NOTHING,
        "copyrightText": _NOTHING,
    }


def _slot(name: str, version: str, file: str, sha256: str) -> dict[str, object]:
    return {
        **_common(name, version, _SLOT),
        "packageFileName": file,
        "primaryPackagePurpose": "OPERATING-SYSTEM",
        "supplier": _NOTHING,
        "checksums": [{"algorithm": "SHA256", "checksumValue": sha256}],
    }


def _package(package: Package, identifier: str, distribution: str) -> dict[str, object]:
    fields = {
        **_common(package.name, package.version, identifier),
        "supplier": _supplier(package.maintainer),
        "sourceInfo": f"built from the source package {package.source} {package.source_version}",
        "externalRefs": [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": package_url(package, distribution),
            }
        ],
    }
    return {**fields, "homepage": package.homepage} if _URL.fullmatch(package.homepage) else fields


def _supplier(maintainer: str) -> str:
    """``Person: NAME (ADDRESS)``: dpkg does not say which maintainers are teams."""
    match = _MAINTAINER.fullmatch(maintainer)
    name, address = (match[1], match[2]) if match else (maintainer, None)
    # The brackets are those of the form; a name has none of its own.
    name = re.sub(r"[()]", "", name).strip()
    if not name:
        return _NOTHING
    return f"Person: {name} ({address})" if address else f"Person: {name}"


def _relationship(one: str, kind: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}
