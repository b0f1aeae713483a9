"""The SPDX document: a validator that is not ours takes it, and it says what is in the slot."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gptlib import __version__
from image_builder.artifacts.packages import Package
from image_builder.artifacts.spdx import package_url, spdx_document

if TYPE_CHECKING:
    from pathlib import Path

BASH = Package(
    "bash",
    "5.2.15-2+b2",
    "amd64",
    "bash",
    "5.2.15-2",
    "Matthias Klose <doko@debian.org>",
    "http://tiswww.case.edu/php/chet/bash/bashtop.html",
)
CPP = Package(
    "libstdc++6",
    "1:12.2.0-14~x+deb12u1",
    "amd64",
    "gcc-12",
    "12.2.0-14",
    "Debian GCC (Maintainers) <debian-gcc@lists.debian.org>",
    "",
)
ODD = Package("libstdc-6", "1", "", "libstdc-6", "1", "", "not a place")
CLASH = replace(CPP, name="libstdc--6")
FOUR = (BASH, CPP, CLASH, ODD)


def text(*packages: Package, **other: Any) -> str:  # noqa: ANN401
    values = {
        "name": "shop",
        "version": "2.1+x",
        "slot": "shop_2.1+x_base.slot",
        "sha256": "ab" * 32,
        "seed": "seed",
        "epoch": 1704067200,
    }
    return spdx_document(packages, **{**values, **other})


def document(*packages: Package) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(text(*packages))
    return parsed


@pytest.mark.parametrize("packages", [(), FOUR])
def test_a_validator_finds_nothing_wrong(
    tmp_path: Path, packages: tuple[Package, ...], caplog: pytest.LogCaptureFixture
) -> None:
    parse_anything = pytest.importorskip("spdx_tools.spdx.parser.parse_anything", reason="spdx-tools is not installed")
    validator = pytest.importorskip("spdx_tools.spdx.validation.document_validator")
    caplog.set_level(logging.CRITICAL)
    path = tmp_path / "shop.spdx.json"
    path.write_text(text(*packages))
    parsed = parse_anything.parse_file(str(path))
    assert [message.validation_message for message in validator.validate_full_spdx_document(parsed, "SPDX-2.3")] == []
    assert {package.name for package in parsed.packages} == {"shop", *(package.name for package in packages)}


def test_it_says_who_made_it_and_when_and_of_which_file() -> None:
    made = document(BASH)
    assert made["creationInfo"] == {"created": "2024-01-01T00:00:00Z", "creators": [f"Tool: slotboot-{__version__}"]}
    slot = made["packages"][0]
    assert (slot["packageFileName"], slot["checksums"][0]["checksumValue"]) == ("shop_2.1+x_base.slot", "ab" * 32)


def test_the_document_describes_the_slot_which_contains_each_package_once() -> None:
    made = document(*FOUR)
    slot, *packages = (package["SPDXID"] for package in made["packages"])
    assert len(set(packages)) == len(FOUR)
    links = [(r["spdxElementId"], r["relationshipType"], r["relatedSpdxElement"]) for r in made["relationships"]]
    assert links == [("SPDXRef-DOCUMENT", "DESCRIBES", slot), *((slot, "CONTAINS", package) for package in packages)]


def test_package_urls_are_those_of_the_specification() -> None:
    # The letters that purl-spec leaves as they are: A-Z a-z 0-9 . - _ ~ and the colon.
    assert package_url(BASH, "debian") == "pkg:deb/debian/bash@5.2.15-2%2Bb2?arch=amd64"
    assert package_url(CPP, "debian") == "pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14~x%2Bdeb12u1?arch=amd64"
    assert package_url(ODD, "ubuntu") == "pkg:deb/ubuntu/libstdc-6@1"
    (found,) = document(BASH)["packages"][1]["externalRefs"]
    assert found["referenceLocator"] == package_url(BASH, "debian")


def test_nothing_is_claimed_that_nobody_looked_at() -> None:
    for package in document(*FOUR)["packages"]:
        assert (package["licenseConcluded"], package["filesAnalyzed"]) == ("NOASSERTION", False)
    assert document(ODD)["packages"][1]["supplier"] == "NOASSERTION"
    assert "homepage" not in document(ODD)["packages"][1]


def test_the_same_slot_has_the_same_document_and_another_one_another_namespace() -> None:
    assert text(*FOUR) == text(*FOUR)
    spaces = {
        json.loads(text(**other))["documentNamespace"] for other in ({}, {"sha256": "cd" * 32}, {"seed": "another"})
    }
    assert len(spaces) == 3
