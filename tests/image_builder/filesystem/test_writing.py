"""What our writers make of folders and archives has everything that these have, and the same bytes whoever makes it."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from bootselect.formats.filesystem import filesystem_of
from image_builder.errors import ToolFailedError
from image_builder.filesystem.compare import differences
from image_builder.filesystem.kinds import FILESYSTEMS
from image_builder.filesystem.listing import list_folder
from image_builder.filesystem.session import root_session
from image_builder.filesystem.source import ArchiveSource, FolderSource
from image_builder.run import SystemRunner
from tests.image_builder.filesystem.trees import TAR_OPTIONS, in_fakeroot, make
from tests.image_builder.filesystem.writing import (
    EPOCH,
    KINDS,
    NEW,
    READERS,
    TREE,
    UUID,
    expected,
    overlay,
    source_of,
    write,
)
from tests.support import run_tool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from image_builder.filesystem.listing import Entry

ORDINARY = 12345
_MEMORY = "/dev/shm"  # noqa: S108 - with folders of random names
FAST = _MEMORY if os.access(_MEMORY, os.W_OK) else None
REPOSITORY = Path(__file__).parents[3]
needs_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root has files of several owners, and can be somebody else"
)
every_kind = pytest.mark.parametrize("kind", KINDS)
with_and_without_files = pytest.mark.parametrize("laid", ["plain", "overlay"])
from_both = pytest.mark.parametrize("name", [pytest.param("tree", marks=needs_root), "tree.tar"])


@pytest.fixture(scope="module")
def odd() -> Iterator[Path]:
    """A folder that everybody may enter, with the tree (where we are root) and a tar of it."""
    folder = Path(tempfile.mkdtemp(prefix="slotboot-odd-", dir=FAST))
    folder.chmod(0o755)
    if os.geteuid() == 0:
        (folder / "tree").mkdir()
        make(TREE, os.fsencode(folder / "tree"))
    made = (sys.executable, "-m", "tests.image_builder.filesystem.writing", "tree", folder / "made")
    in_fakeroot(made, ("tar", *TAR_OPTIONS, "-C", folder / "made", "-cf", folder / "tree.tar", "."))
    shutil.rmtree(folder / "made")
    (folder / "tree.tar").chmod(0o644)
    overlay(folder)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody may write to."""
    folder = Path(tempfile.mkdtemp(prefix="slotboot-place-", dir=FAST))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_elsewhere(
    kind: str, source: Path, output: Path, laid: str, *, umask: int = 0o022, user: int | None = None, **env: str
) -> Path:
    """In a process of its own."""
    became = [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    argv: list[str | Path] = [
        *became,
        sys.executable,
        "-m",
        "tests.image_builder.filesystem.writing",
        kind,
        source,
        output,
        laid,
    ]
    subprocess.run(
        argv, check=True, cwd=REPOSITORY, umask=umask, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **env}
    )
    return output


def in_the_image(kind: str, name: str, laid: str) -> dict[bytes, Entry]:
    """GNU tar stores a device of two names as two devices."""
    tree = expected(kind, overlaid=laid == "overlay")
    if name == "tree.tar":
        for path in (b"other/device", b"other/same device"):
            tree[path] = replace(tree[path], first=b"")
    return tree


@pytest.mark.slow
@every_kind
@with_and_without_files
@from_both
def test_everything_of_the_source_is_in_the_file_system(
    odd: Path, place: Path, kind: str, laid: str, name: str
) -> None:
    source = source_of(odd / name, overlaid=laid == "overlay")
    image = write(kind, source, place / "image")

    found = READERS[kind](image)
    assert differences(in_the_image(kind, name, laid), found) == []
    missing = {str(difference.what) for difference in differences(source.listing(), found)}
    assert missing <= (
        {"xattr system.posix_acl_access", "xattr system.posix_acl_default"} if kind == "squashfs" else set()
    )
    assert list(place.iterdir()) == [image]


@with_and_without_files
@from_both
def test_unsquashfs_finds_it(odd: Path, place: Path, laid: str, name: str) -> None:
    image = write("squashfs", source_of(odd / name, overlaid=laid == "overlay"), place / "image")

    lines = (
        subprocess.run(
            ["unsquashfs", "-lln", "-d", "", image], capture_output=True, check=True, env={**os.environ, "TZ": "UTC"}
        )
        .stdout.decode(errors="replace")
        .splitlines()
    )
    assert lines[0].startswith("drwxrwxr-t 7/8 ")
    told = {line.split(" 2024-01-01 00:00 ", 1)[1]: line.split()[:2] for line in lines if " 2024-01-01 00:00 " in line}
    assert told["/setuid"] == ["-rwsr-xr-x", "0/0"]
    assert told["/far"] == ["-rw-r-----", "70000/4000000000"]
    assert told["/ping"] == ["-rwxr-xr-x" if laid == "plain" else "-rw-r--r--", "0/0"]
    assert told["/dev/sda"] == ["brw-rw----", "0/6"]
    if laid == "overlay":
        assert told["/sticky/through"] == ["-rw-r--r--", "0/0"]
        assert run_tool("sqfscat", image, "links/a").encode() == NEW


@with_and_without_files
@from_both
def test_the_makers_of_erofs_find_it(odd: Path, place: Path, laid: str, name: str) -> None:
    image = write("erofs", source_of(odd / name, overlaid=laid == "overlay"), place / "image")

    run_tool("fsck.erofs", image)
    assert f"Filesystem UUID:                              {UUID}" in run_tool("dump.erofs", "-s", image)
    assert "Uid: 70000   Gid: 4000000000  Access: 0640/" in run_tool("dump.erofs", "--path=/far", image)
    assert (
        "2024-01-01 00:00:00"
        in subprocess.run(
            ["dump.erofs", "--path=/far", image], env={**os.environ, "TZ": "UTC"}, capture_output=True, text=True
        ).stdout
    )
    run_tool("fsck.erofs", f"--extract={place / 'out'}", "--no-preserve", image)
    if laid == "overlay":
        assert (place / "out/sticky/through").read_bytes() == NEW
        assert (place / "out/links/b").read_bytes() == b"\0" * 10 + b"x"


@with_and_without_files
@from_both
def test_the_makers_of_ext4_find_it(odd: Path, place: Path, laid: str, name: str) -> None:
    image = write("ext4", source_of(odd / name, overlaid=laid == "overlay"), place / "image")

    assert subprocess.run(["fsck.ext4", "-fn", image], capture_output=True).returncode == 0
    told = run_tool("debugfs", "-R", "stat /far", image)
    assert "User: 70000   Group: -294967296 " in told
    assert told.count("0x65920080:00000000") == 4  # 2024-01-01 00:00:00 UTC
    assert "Mode:  01775 " in run_tool("debugfs", "-R", "stat /", image)
    assert ("security.capability" in run_tool("debugfs", "-R", "ea_list /ping", image)) == (laid == "plain")
    if laid == "overlay":
        assert run_tool("debugfs", "-R", "cat /sticky/through", image).encode() == NEW


@every_kind
@from_both
def test_the_content_of_files_is_kept(odd: Path, place: Path, kind: str, name: str) -> None:
    image, out = write(kind, source_of(odd / name), place / "image"), place / "out"
    out.mkdir()
    if kind == "erofs":
        run_tool("fsck.erofs", f"--extract={out}", "--overwrite", "--no-preserve", image)
    elif kind == "squashfs":
        run_tool(
            "unsquashfs", "-quiet", "-no-progress", "-no-xattrs", "-force", "-d", out, image, "sparse", "words", "many"
        )
    else:
        run_tool("debugfs", "-R", f"rdump /sparse /words /many {out}", image)

    assert (out / "sparse").read_bytes() == bytes(3 * 2**20 - 1) + b"x"
    assert (out / "words").read_bytes() == bytes(5) + b"x"
    assert len(list((out / "many").iterdir())) == 29


@pytest.mark.slow
@every_kind
@with_and_without_files
@from_both
def test_the_bytes_are_the_same_in_every_environment(odd: Path, place: Path, kind: str, laid: str, name: str) -> None:
    image = write(kind, source_of(odd / name, overlaid=laid == "overlay"), place / "image")
    (place / "other folder").mkdir()
    (place / "tmp").mkdir()

    again = write_elsewhere(
        kind, odd / name, place / "other folder/again", laid,
        umask=0o077, TZ="Pacific/Kiritimati", TMPDIR=str(place / "tmp"), SOURCE_DATE_EPOCH="1234567890", LC_ALL="C.UTF-8",
    )  # fmt: skip

    assert digest(again) == digest(image)


@pytest.mark.slow
@needs_root
@every_kind
@with_and_without_files
def test_an_ordinary_user_makes_the_bytes_that_root_makes(odd: Path, place: Path, kind: str, laid: str) -> None:
    image = write(kind, source_of(odd / "tree.tar", overlaid=laid == "overlay"), place / "image")

    again = write_elsewhere(kind, odd / "tree.tar", place / "again", laid, user=ORDINARY)

    assert digest(again) == digest(image)
    assert sorted(place.iterdir()) == [again, image]


@pytest.mark.slow
@needs_root
@every_kind
@with_and_without_files
def test_an_ordinary_user_makes_the_bytes_that_root_makes_of_a_folder(place: Path, kind: str, laid: str) -> None:
    tree = place / "tree"
    readable = {path: entry for path, entry in TREE.items() if path not in (b"empty", b"closed", b"far", b"far folder", b"links/a", b"links/b", b"other/c")
                and not any(xattr.startswith(b"trusted.") for xattr, _ in entry.xattrs)}  # fmt: skip
    readable |= {b"links/a": TREE[b"setuid"]}
    tree.mkdir()
    make(readable, os.fsencode(tree))
    image = write(kind, source_of(tree, overlaid=laid == "overlay"), place / "image")

    again = write_elsewhere(kind, tree, place / "again", laid, user=ORDINARY)

    assert digest(again) == digest(image)
    assert READERS[kind](image)[b"setgid"] == TREE[b"setgid"]


@needs_root
@every_kind
@with_and_without_files
def test_the_order_in_which_a_tree_was_made_is_not_seen(odd: Path, place: Path, kind: str, laid: str) -> None:
    (place / "tree").mkdir()
    names = sorted(path for path in TREE if path.count(b"/") == 0)
    for name in [b"", *reversed(names)]:  # one after the other, the last one first
        make(
            {path: entry for path, entry in TREE.items() if path.partition(b"/")[0] == name and not entry.first},
            os.fsencode(place / "tree"),
        )
    make({path: entry for path, entry in TREE.items() if entry.first}, os.fsencode(place / "tree"))
    overlay(place)

    image = write(kind, source_of(odd / "tree", overlaid=laid == "overlay"), place / "image")
    again = write(kind, source_of(place / "tree", overlaid=laid == "overlay"), place / "again")

    assert differences(list_folder(odd / "tree"), list_folder(place / "tree")) == []
    assert digest(again) == digest(image)


@every_kind
def test_two_epochs_differ_and_one_repeats(odd: Path, place: Path, kind: str) -> None:
    first, again, later = (
        write(kind, source_of(odd / "tree.tar"), place / name, epoch=epoch)
        for name, epoch in (("first", EPOCH), ("again", EPOCH), ("later", EPOCH + 1))
    )

    assert digest(first) == digest(again) != digest(later)


@every_kind
def test_the_epoch_0_is_a_time_like_others(odd: Path, place: Path, kind: str) -> None:
    first, again = (write(kind, source_of(odd / "tree.tar"), place / name, epoch=0) for name in ("first", "again"))

    assert digest(first) == digest(again)


@every_kind
@from_both
def test_everything_can_be_made_roots(odd: Path, place: Path, kind: str, name: str) -> None:
    source = FolderSource(odd / name, owners="root") if name == "tree" else ArchiveSource(odd / name, owners="root")
    found = READERS[kind](write(kind, source, place / "image"))

    assert {(entry.uid, entry.gid) for entry in found.values()} == {(0, 0)}
    assert all(difference.what.startswith("xattr") for difference in differences(source.listing(), found))


@needs_root
@every_kind
@with_and_without_files
def test_extended_attributes_can_stay_behind(odd: Path, place: Path, kind: str, laid: str) -> None:
    source = FolderSource(odd / "tree", xattrs=False, files=overlay(odd) if laid == "overlay" else ())
    found = READERS[kind](write(kind, source, place / "image"))

    assert not any(entry.xattrs for entry in found.values())
    assert differences(source.listing(), found) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "compression"), [(name, each) for name, kind in FILESYSTEMS.items() for each in kind.compressions]
)
def test_every_compression_holds_the_same(odd: Path, place: Path, kind: str, compression: str) -> None:
    if kind == "squashfs" and compression in ("zstd", "lz4"):
        pytest.importorskip({"zstd": "zstandard"}.get(compression, compression))
    image = place / "image"
    FILESYSTEMS[kind].write(
        SystemRunner(), source_of(odd / "tree.tar"), image, uuid=UUID, compression=compression, epoch=EPOCH
    )

    assert differences(in_the_image(kind, "tree.tar", "plain"), READERS[kind](image)) == []


@every_kind
def test_a_finished_file_system_is_recognised(odd: Path, place: Path, kind: str) -> None:
    image = write(kind, source_of(odd / "tree.tar"), place / "image")
    head = image.read_bytes()[:4096]

    found = filesystem_of(head)
    assert found is not None
    assert found.name == kind
    assert image.stat().st_size - 4096 < found.size <= image.stat().st_size
    assert filesystem_of(bytes(4096)) is None


@needs_root
@every_kind
def test_a_socket_is_kept(place: Path, kind: str) -> None:
    (place / "tree").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place / "tree/socket"))
    for laid in (False, True):
        source = source_of(place / "tree", overlaid=laid)
        assert differences(source.listing(), READERS[kind](write(kind, source, place / "image"))) == []


class Recording(SystemRunner):
    """Knows the daemons of fakeroot that were started."""

    daemons: ClassVar[list[int]] = []

    def run(self, argv: Sequence[str | os.PathLike[str]], **given: Any) -> bytes:  # noqa: ANN401 - as SystemRunner has them
        said = super().run(argv, **given)
        if str(argv[0]).startswith("faked"):
            self.daemons.append(int(said.split(b":")[1]))
        return said


@every_kind
def test_nothing_is_left_where_a_tool_fails(odd: Path, place: Path, kind: str) -> None:
    (place / "image").mkdir()  # no tool can write there
    runner = Recording()

    with pytest.raises((ToolFailedError, IsADirectoryError)):
        FILESYSTEMS[kind].write(
            runner,
            source_of(odd / "tree.tar"),
            place / "image",
            uuid=UUID,
            compression=FILESYSTEMS[kind].default_compression,
            epoch=EPOCH,
        )

    assert list(place.iterdir()) == [place / "image"]


def test_the_daemon_of_a_session_ends_with_it() -> None:
    runner = Recording()

    with pytest.raises(KeyError), root_session(runner) as inside:
        assert inside.run(["id", "-u"], env={"A": "b"}) == b"%d\n" % os.geteuid()
        raise KeyError

    status = Path(f"/proc/{runner.daemons[-1]}/stat")
    for _ in range(1000):
        if not status.exists() or ") Z " in status.read_text():
            return
        os.sched_yield()
    pytest.fail("the daemon still runs")
