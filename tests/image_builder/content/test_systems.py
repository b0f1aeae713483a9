"""What a definition says of a slot of each kind: what is read, what is refused, and what it takes to make it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from image_builder.content.debian import Debian
from image_builder.content.image import Image
from image_builder.content.tar import Tar
from image_builder.content.tiny import Tiny
from image_builder.content.tree import Tree
from image_builder.definition.load import parse_definition
from image_builder.errors import DefinitionError

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.content.slot import Slot
    from image_builder.definition.model import Definition

KINDS: dict[str, dict[str, Any]] = {
    "tree": {"source": "tree"},
    "tar": {"source": "root.tar"},
    "image": {"source": "slot.img"},
    "debian": {},
    "tiny": {},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What slots can be made of, and files that are none of it."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "root.tar").write_bytes(bytes(10240))
    (tmp_path / "zeros").write_bytes(bytes(8192))
    (tmp_path / "short").write_bytes(b"hsqs")
    (tmp_path / "hook").touch(mode=0o755)
    (tmp_path / "text").touch(mode=0o644)
    for argv in (["mkfs.erofs", "slot.img", "tree"], ["mksquashfs", "tree", "squashfs", "-quiet"]):
        subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)
    for name, features, block in (
        ("ext4", "^has_journal", 4096),
        ("journal", "has_journal", 4096),
        ("ext4-1k", "^64bit", 1024),
    ):
        argv = ["mkfs.ext4", "-q", "-b", str(block), "-O", features, name, "8M"]
        subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "cut").write_bytes((tmp_path / "ext4").read_bytes()[: 4 << 20])
    # As after a machine that was switched off: the journal holds what the rest of it lacks.
    subprocess.run(
        ["debugfs", "-w", "-R", "feature needs_recovery", tmp_path / "journal"], check=True, capture_output=True
    )
    return tmp_path


def definition(folder: Path, slot: dict[str, Any], boot: dict[str, Any] | None = None) -> Definition:
    esp = {"label": "ESP", "type": "esp", "size": "64M", "content": "esp"}
    partition = {"label": "A", "type": "coreos-usr", "size": "64M", "content": "slot.base"}
    fields = {
        "image": {"name": "a"},
        "slot": {"base": slot},
        "boot": {"kind": "uki", **(boot or {})},
        "partition": [esp, partition],
    }
    return parse_definition(folder / "a.toml", fields)


def read(folder: Path, kind: str, **fields: object) -> Slot:
    (slot,) = definition(folder, {"kind": kind, **KINDS[kind], **fields}).slots
    return slot


def refusal(folder: Path, kind: str, **fields: object) -> str:
    with pytest.raises(DefinitionError) as raised:
        read(folder, kind, **fields)
    (mistake,) = raised.value.mistakes
    return f"{mistake.key}: {mistake.detail}"


def test_each_kind_is_read_with_its_own_keys(folder: Path) -> None:
    assert read(folder, "tree").system == Tree(folder / "tree")
    assert read(folder, "tar").system == Tar(folder / "root.tar")
    assert read(folder, "image").system == Image(folder / "slot.img", "erofs")
    assert read(folder, "debian").system == Debian("bookworm", (), "", None)
    fields = {"suite": "trixie", "packages": ["openssh-server", "g++"], "mirror": "http://a.b/c", "hook": "hook"}
    assert read(folder, "debian", **fields).system == Debian(
        "trixie", ("openssh-server", "g++"), "http://a.b/c", folder / "hook"
    )
    assert read(folder, "tiny", modules=["loop"], **{"os-release": {"ID": "x"}}).system == Tiny(
        ("loop",), (("ID", "x"), ("NAME", "slotboot tiny slot"))
    )


@pytest.mark.parametrize("kind", KINDS)
def test_what_all_slots_have_is_read_in_each_kind(folder: Path, kind: str) -> None:
    slot = read(folder, kind, version="7-rc1", verity=True)
    assert (slot.name, slot.system.kind, slot.version, slot.verity, slot.type) == (
        "slot.base",
        kind,
        "7-rc1",
        True,
        "coreos-usr",
    )


@pytest.mark.parametrize("kind", ["tree", "tar", "debian", "tiny"])
def test_what_is_written_can_be_written_otherwise(folder: Path, kind: str) -> None:
    slot = read(folder, kind, filesystem="squashfs", owners="root", kernel=True, files={"/etc/x": "text"})
    assert (slot.filesystem, slot.compression, slot.owners, slot.kernel) == ("squashfs", "zstd", "root", True)
    assert [(file.path, file.source) for file in slot.files] == [("/etc/x", folder / "text")]
    assert read(folder, kind).filesystem == "erofs"
    assert read(folder, kind).compression == "lz4"
    assert read(folder, kind, filesystem="ext4").compression == "none"


@pytest.mark.parametrize(("source", "filesystem"), [("slot.img", "erofs"), ("squashfs", "squashfs"), ("ext4", "ext4")])
def test_the_file_system_of_a_finished_image_is_found_in_it(folder: Path, source: str, filesystem: str) -> None:
    slot = read(folder, "image", source=source)
    assert (slot.filesystem, slot.compression, slot.files) == (filesystem, "", ())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("tree", {"source": "nothing"}, "slot.base.source: is 'nothing'; expected the path of a folder, and "),
        ("tree", {"source": "root.tar"}, "slot.base.source: is 'root.tar'; expected the path of a folder, and "),
        ("tree", {"source": ""}, "slot.base.source: is ''; expected the path of a folder"),
        ("tree", {"source": 5}, "slot.base.source: is 5; expected the path of a folder"),
        ("tree", {"suite": "x"}, "slot.base.suite: is not a setting; known are kind, source, "),
        ("tar", {"source": "tree"}, "slot.base.source: is 'tree'; expected the path of a file, and "),
        ("tar", {"owners": "me"}, "slot.base.owners: is 'me'; expected 'kept' or 'root'"),
        ("tar", {"compression": "zstd"}, "slot.base.compression: is 'zstd'; expected 'none' or 'lz4' or 'lz4hc'"),
        ("tar", {"filesystem": "squashfs", "compression": "lz4hc"}, "slot.base.compression: is 'lz4hc'; expected "),
        ("image", {"source": "zeros"}, "slot.base.source: "),
        ("image", {"source": "short"}, "slot.base.source: "),
        ("image", {"source": "journal"}, "slot.base.source: "),
        ("image", {"source": "cut"}, "slot.base.source: "),
        ("image", {"source": "ext4-1k", "verity": True}, "slot.base.source: "),
        ("image", {"source": "tree"}, "slot.base.source: is 'tree'; expected the path of a file, and "),
        (
            "image",
            {"filesystem": "erofs"},
            "slot.base.filesystem: is not a setting; known are kind, source, type, version, verity",
        ),
        ("image", {"files": {"/x": "text"}}, "slot.base.files: is not a setting; known are "),
        ("image", {"kernel": True}, "slot.base.kernel: is not a setting; known are "),
        ("debian", {"suite": "-x"}, "slot.base.suite: is '-x'; expected a word of letters"),
        ("debian", {"packages": "ssh"}, "slot.base.packages: is 'ssh'; expected a list of the names of packages"),
        ("debian", {"packages": ["a b"]}, "slot.base.packages: is 'a b'; expected a word of letters"),
        ("debian", {"packages": ["a,b"]}, "slot.base.packages: is 'a,b'; expected a word of letters"),
        ("debian", {"mirror": "a\nb"}, "slot.base.mirror: is 'a\\nb'; expected one line"),
        ("debian", {"hook": "text"}, "slot.base.hook: is '"),
        ("debian", {"hook": "tree"}, "slot.base.hook: is 'tree'; expected the path of a file, and "),
        (
            "debian",
            {"source": "tree"},
            "slot.base.source: is not a setting; known are kind, suite, packages, mirror, hook, ",
        ),
        ("tiny", {"source": "tree"}, "slot.base.source: is not a setting; known are kind, modules, os-release, "),
    ],
)
def test_what_a_kind_cannot_be_is_told_in_one_line(
    folder: Path, kind: str, fields: dict[str, object], message: str
) -> None:
    assert refusal(folder, kind, **fields).startswith(message)


@pytest.mark.parametrize("kind", ["tree", "tar", "image"])
def test_a_kind_that_is_made_of_something_says_so(folder: Path, kind: str) -> None:
    with pytest.raises(DefinitionError) as raised:
        definition(folder, {"kind": kind})
    (mistake,) = raised.value.mistakes
    what = "a folder" if kind == "tree" else "a file"
    assert (mistake.key, mistake.detail) == ("slot.base.source", f"is missing; expected the path of {what}")


def test_an_image_that_the_selector_could_not_mount_says_what_is_wrong_with_it(folder: Path) -> None:
    assert "holds no file system that the selector can mount; expected erofs or squashfs or ext4" in refusal(
        folder, "image", source="zeros"
    )
    assert refusal(folder, "image", source="journal").endswith(
        "has a journal that must be replayed first; expected one after 'fsck.ext4 -p'"
    )
    assert refusal(folder, "image", source="cut").endswith(
        "/cut has 4194304 bytes, and its ext4 8388608; expected all of it"
    )
    assert refusal(folder, "debian", hook="text").endswith("text'; expected a program, and it is not executable")


@pytest.mark.parametrize(
    ("kind", "fields", "expected", "not_needed"),
    [
        ("tree", {}, {"mkfs.erofs"}, {"fakeroot", "mmdebstrap", "readelf", "veritysetup", "mksquashfs"}),
        ("tree", {"filesystem": "squashfs"}, {"mksquashfs"}, {"mkfs.erofs"}),
        ("tree", {"files": {"/x": "text"}}, {"mkfs.erofs", "fakeroot"}, {"mmdebstrap"}),
        ("tar", {"filesystem": "ext4"}, {"mkfs.ext4", "fakeroot"}, {"mkfs.erofs", "mmdebstrap"}),
        ("image", {}, set(), {"mkfs.erofs", "fakeroot", "mmdebstrap"}),
        ("image", {"verity": True}, {"veritysetup"}, {"mkfs.erofs"}),
        ("debian", {}, {"mmdebstrap", "mkfs.erofs", "fakeroot"}, {"readelf"}),
        ("tiny", {"kernel": True}, {"readelf", "mkfs.erofs", "lz4"}, {"mmdebstrap"}),
    ],
)
def test_a_slot_needs_the_tools_of_its_kind_its_file_system_and_its_seal(
    folder: Path, kind: str, fields: dict[str, object], expected: set[str], not_needed: set[str]
) -> None:
    whole = definition(folder, {"kind": kind, **KINDS[kind], **fields})
    tools = set(whole.slots[0].tools(whole))
    assert expected <= tools
    assert not tools & not_needed


@pytest.mark.parametrize(
    ("kind", "told"), [("tree", True), ("tar", True), ("debian", True), ("tiny", True), ("image", False)]
)
def test_a_slot_that_brings_no_kernel_cannot_be_started_by_kexec(folder: Path, kind: str, told: bool) -> None:
    slot = {"kind": kind, **KINDS[kind]}
    if not told:  # what is in a finished one nobody knows before it is read
        definition(folder, slot, {"hand-over": "kexec"})
        return
    with pytest.raises(DefinitionError, match=r"slot\.base\.kernel: is false, and boot\.hand-over is 'kexec'"):
        definition(folder, slot, {"hand-over": "kexec"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_slot_without_a_seal_cannot_be_required_to_have_one(folder: Path, kind: str) -> None:
    slot = {"kind": kind, **KINDS[kind]}
    with pytest.raises(DefinitionError, match=r"slot\.base\.verity: is false, and boot\.verity is 'required'"):
        definition(folder, slot, {"verity": "required"})
    definition(folder, {**slot, "verity": True}, {"verity": "required"})
