"""Every link between the documents leads somewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.documentation import DOCUMENTS, ROOT, anchors, links

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_relative_links_resolve_in(document: Path) -> None:
    for link in links(document):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_there_are_links_and_every_document_is_linked() -> None:
    linked = {
        (document.parent / link.partition("#")[0]).resolve()
        for document in DOCUMENTS
        for link in links(document)
        if not link.startswith(("https://", "#"))
    }
    assert not set(DOCUMENTS) - linked - {ROOT / "README.md", ROOT / "CHANGELOG.md"}
