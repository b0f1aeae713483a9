"""Files laid over a tree: where they end up, and what is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from image_builder.definition.model import SlotFile
from image_builder.errors import SlotFileError
from image_builder.slot.overlay import lay_files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with links as distributions have them, and some that lead out of the tree where it is not the root."""
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/lib/os").mkdir(parents=True)
    (root / "usr/bin/busybox").write_text("busybox")
    (root / "bin").symlink_to("usr/bin")
    (root / "sbin").symlink_to("/bin")
    (root / "opt").symlink_to("/../../../../usr/lib/os")
    (root / "usr/bin/vi").symlink_to("busybox")
    (root / "loop").symlink_to("/loop")
    return root


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").write_text("new")
    return tmp_path / "source"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/etc/deep/er/motd", "etc/deep/er/motd"),
        ("/top", "top"),
        ("/usr/bin/tool", "usr/bin/tool"),
        ("/bin/tool", "usr/bin/tool"),
        ("/sbin/tool", "usr/bin/tool"),
        ("/opt/tool", "usr/lib/os/tool"),
        ("/usr/bin/vi", "usr/bin/vi"),
        ("/loop", "loop"),
    ],
)
def test_links_are_followed_as_the_slot_would_and_a_link_in_the_place_is_replaced(
    root: Path, source: Path, path: str, place: str
) -> None:
    lay_files(root, [SlotFile(path, source)])
    assert not (root / place).is_symlink()
    assert (root / place).read_text() == "new"
    assert (root / "usr/bin/busybox").read_text() == "busybox"


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["/usr/lib/os"], "slot.files: /usr/lib/os is a folder of the slot; give the path of a file in it"),
        (["/bin/busybox/x"], "slot.files: /bin/busybox/x cannot be made: /usr/bin/busybox is not a folder of the slot"),
        (
            ["/usr/bin/x", "/sbin/x"],
            "slot.files: /sbin/x is the same file of the slot as /usr/bin/x; give one of the two",
        ),
        (["/loop/x"], "slot.files: /loop/x leads through more than 40 symbolic links"),
    ],
)
def test_what_cannot_be_in_the_tree_is_refused(root: Path, source: Path, paths: list[str], message: str) -> None:
    with pytest.raises(SlotFileError, match=re.escape(message)):
        lay_files(root, [SlotFile(path, source) for path in paths])
