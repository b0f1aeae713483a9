"""An archive is listed as tar would unpack it, and one that is damaged, cut off or dangerous is refused."""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from image_builder.errors import MissingToolError
from image_builder.filesystem.archive import list_archive, open_archive
from image_builder.filesystem.compare import differences
from image_builder.filesystem.errors import ArchiveError
from image_builder.filesystem.listing import Entry
from tests.image_builder.filesystem.conftest import TAR
from tests.image_builder.filesystem.trees import ACL, ACL_TEXT, LONGEST, ODD
from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.filesystem.listing import Listing
    from tests.image_builder.filesystem.conftest import Made

FOLDER, FILE = stat.S_IFDIR, stat.S_IFREG
ROOT = Entry(FOLDER | 0o755, 0, 0)
PLAIN = Entry(FILE | 0o644, 0, 0)


def member(
    name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644, **pax: str
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    info.pax_headers = {key.replace("_", "."): value for key, value in pax.items()}
    return info


def archive(*members: tarfile.TarInfo, with_end: bool = True) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info in members:
            tar.addfile(info)
        end = tar.offset
    if not with_end:
        stream.truncate(end)
    stream.seek(0)
    return stream


def listing(*members: tarfile.TarInfo) -> Listing:
    return list_archive(archive(*members))


def read(path: Path) -> Listing:
    with open_archive(path) as stream:
        return list_archive(stream)


@pytest.mark.slow
@pytest.mark.parametrize("variant", TAR)
def test_everything_that_was_made_is_found_in_what_tar_made_of_it(made: Made, variant: str) -> None:
    expected = ODD | LONGEST
    for path in (b"other/device", b"other/same device"):  # GNU tar stores hard links of files and symbolic links only
        expected[path] = replace(expected[path], first=b"")
    if "gnu" in variant:  # that format has no xattrs
        expected = {path: replace(entry, xattrs=()) for path, entry in expected.items()}

    assert differences(expected, read(made.image("tar", variant))) == []


def test_tar_itself_lists_the_same(made: Made) -> None:
    found = read(made.image("tar", "pax"))

    lines = run_tool(
        "tar", "-tvv", "--numeric-owner", "--quoting-style=literal", "-f", made.image("tar", "pax"), "./many", "./dev"
    )
    assert len(lines.splitlines()) > 3000
    for line in lines.splitlines():
        mode, owner, size, _, _, name = line.split(maxsplit=5)
        entry = found[name.removeprefix("./").rstrip("/").encode()]
        assert (mode, owner) == (stat.filemode(entry.mode), f"{entry.uid}/{entry.gid}")
        if entry.device != (0, 0):
            assert size == f"{entry.device[0]},{entry.device[1]}"


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd"])
def test_compression_is_told_by_what_the_file_begins_with(made: Made, tmp_path: Path, compression: str) -> None:
    path = tmp_path / "tar.of.any.name"
    with path.open("wb") as output:
        _compress(compression, made.image("tar", "pax").read_bytes(), output, tmp_path)

    assert read(path) == read(made.image("tar", "pax"))


def _compress(compression: str, data: bytes, output: io.BufferedWriter, folder: Path) -> None:
    if compression == "gzip":
        output.write(gzip.compress(data, 1))
    elif compression == "xz":
        output.write(lzma.compress(data, preset=0))
    else:
        (folder / "plain").write_bytes(data)
        run_tool("zstd", "-q", folder / "plain", "-o", folder / "packed")
        output.write((folder / "packed").read_bytes())


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd"])
@pytest.mark.parametrize("damage", ["cut off", "flipped"])
def test_an_archive_that_is_damaged_or_cut_off_is_one_error(
    made: Made, tmp_path: Path, compression: str, damage: str
) -> None:
    path = tmp_path / "archive"
    with path.open("wb") as output:
        _compress(compression, made.image("tar", "pax").read_bytes(), output, tmp_path)
    packed = bytearray(path.read_bytes())
    if damage == "cut off":
        del packed[-3:]
    else:
        packed[len(packed) // 2] ^= 0x55
    path.write_bytes(packed)

    with pytest.raises(
        ArchiveError, match=rf"^{path}: (damaged or cut off|no sound tar): .*; fetch or make the archive again$"
    ):
        read(path)


@pytest.mark.parametrize("keep", [100, 512, 700, 1024 + 100])
def test_a_plain_archive_that_is_cut_off_anywhere_is_an_error(keep: int) -> None:
    whole = archive(member("a"), member("b"), member("c")).getvalue()

    with pytest.raises(ArchiveError, match="no sound tar"):
        list_archive(io.BytesIO(whole[:keep]))


def test_an_archive_without_its_end_is_cut_off() -> None:
    with pytest.raises(ArchiveError, match="no sound tar"):
        list_archive(archive(member("a"), member("b"), with_end=False))


def test_a_header_that_is_damaged_in_the_middle_is_no_end() -> None:
    data = bytearray(archive(member("a"), member("b"), member("c")).getvalue())
    data[512 + 150] ^= 1  # the checksum of b: tarfile would end here without a word

    with pytest.raises(ArchiveError, match="no sound tar: bad checksum at byte 512"):
        list_archive(io.BytesIO(data))


@pytest.mark.parametrize("content", [b"", b"no tar at all" * 100])
def test_what_is_no_tar_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(ArchiveError, match="no sound tar"):
        read(tmp_path / "file")


def test_a_missing_archive_and_a_missing_zstd_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArchiveError, match="cannot be read: No such file"):
        open_archive(tmp_path / "missing")
    (tmp_path / "zst").write_bytes(b"\x28\xb5\x2f\xfd")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingToolError, match="zstd"):
        open_archive(tmp_path / "zst")


def test_an_empty_archive_has_a_root() -> None:
    assert listing() == {b"": ROOT}


def test_folders_on_the_way_are_those_of_root() -> None:
    assert listing(member("usr/lib/x")) == {b"": ROOT, b"usr": ROOT, b"usr/lib": ROOT, b"usr/lib/x": PLAIN}


@pytest.mark.parametrize("name", ["./a//b", "/a/b", "a/./b", ".//a/b"])
def test_names_are_those_below_the_root(name: str) -> None:
    assert set(listing(member(name))) == {b"", b"a", b"a/b"}


def test_the_root_may_be_a_member() -> None:
    assert listing(member("./", tarfile.DIRTYPE, mode=0o1700))[b""] == Entry(FOLDER | 0o1700, 0, 0)


def test_a_later_member_replaces_an_earlier_one() -> None:
    found = listing(
        member("d", tarfile.DIRTYPE, mode=0o700),
        member("d/x"),
        member("d/y", tarfile.LNKTYPE, "d/x"),
        member("d", tarfile.DIRTYPE, mode=0o755),
        member("d/x", tarfile.SYMTYPE, "y"),
    )

    assert found[b"d"] == ROOT
    assert found[b"d/x"] == Entry(stat.S_IFLNK | 0o777, 0, 0, target=b"y")
    assert found[b"d/y"] == PLAIN


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ([member("../x")], "member ../x would leave the root"),
        ([member("/a/../../x")], "member /a/../../x would leave the root"),
        ([member("x", tarfile.LNKTYPE, "../../etc/shadow")], "member x would leave the root"),
        ([member("x", tarfile.LNKTYPE, "y")], "member x is a hard link to y, which is no file before it"),
        ([member("d", tarfile.DIRTYPE), member("x", tarfile.LNKTYPE, "d")], "is a hard link to d, which is no file"),
        ([member("l", tarfile.SYMTYPE, "/etc"), member("l/x")], "member l/x lies below l, which is no folder"),
        ([member("d/x"), member("d")], "member d would replace a folder that is not empty"),
        ([member(".", tarfile.SYMTYPE, "x")], "would replace the root"),
        ([member("a\nb", b"M")], r"member a\nb has type b'M'"),
        (
            [member("x", SCHILY_acl_access="user::rw-,user:lisa:r--,group::r--,mask::r--,other::r--")],
            "names user 'lisa'",
        ),
    ],
)
def test_what_cannot_be_unpacked_is_refused(members: list[tarfile.TarInfo], told: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        listing(*members)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_access_lists_in_words_are_those_of_the_kernel() -> None:
    found = listing(member("x", SCHILY_acl_access=ACL_TEXT, SCHILY_acl_default=ACL_TEXT.replace(",", "\n")))

    assert found[b"x"].xattrs == ((b"system.posix_acl_access", ACL), (b"system.posix_acl_default", ACL))


def test_labels_of_selinux_end_as_the_kernel_ends_them() -> None:
    found = listing(member("x", RHT_security_selinux="system_u:object_r:bin_t:s0"))

    assert found[b"x"].xattrs == ((b"security.selinux", b"system_u:object_r:bin_t:s0\0"),)
