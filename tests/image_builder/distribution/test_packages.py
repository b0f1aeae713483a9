"""Packages of the target come from apt's lists, stay as they are, and are never installed."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from image_builder.cache import record, store
from image_builder.distribution.packages import TargetPackages
from image_builder.errors import (
    DownloadError,
    MissingPackageError,
    MissingToolError,
    NoPackageListsError,
)
from image_builder.progress import SilentProgress
from image_builder.run import SystemRunner
from tests.image_builder.distribution.repository import KERNEL, STANDARD, Repository

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path


class NoPrograms(SystemRunner):
    """A machine without any program."""

    def __init__(self) -> None:
        super().__init__({"PATH": "/nonexistent"})

    def tool(self, name: str) -> str:
        raise MissingToolError(name, name)


@pytest.fixture
def source(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path / "source")
    repository.add_standard()
    repository.update()
    return repository


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_all_that_images_need_is_fetched_together_and_unpacked(source: Repository, cache: Path) -> None:
    packages = TargetPackages(source.runner(), cache)
    libc = packages.package("libc6")
    assert (libc.identity, libc.version) == ("libc6_1.0_amd64", "1.0")
    assert (libc.root / "usr/share/libc6").read_text() == "1.0"
    unpacked = {path.name for path in libc.root.parent.iterdir() if not path.name.startswith(".")}
    assert unpacked == {f"{name}_1.0_amd64" for name in STANDARD}


def test_with_a_filled_cache_neither_apt_nor_network_is_needed(source: Repository, cache: Path) -> None:
    before = TargetPackages(source.runner(), cache)
    assert before.packages(before.standard())
    after = TargetPackages(NoPrograms(), cache)
    assert after.packages(after.standard()) == before.packages(before.standard())


def test_the_kernel_and_the_interpreter_are_the_distribution_s_own_choice(source: Repository, cache: Path) -> None:
    packages = TargetPackages(source.runner(), cache)
    assert packages.kernel_name() == KERNEL
    assert packages.python_version() == "3.11"


def test_a_version_stays_until_a_refresh_is_asked_for(source: Repository, cache: Path) -> None:
    assert TargetPackages(source.runner(), cache).package("libc6").version == "1.0"
    source.add("libc6", "1:1.1")
    source.update()
    assert TargetPackages(source.runner(), cache).package("libc6").version == "1.0"
    assert TargetPackages(source.runner(), cache, refresh=True).package("libc6").version == "1:1.1"
    assert TargetPackages(NoPrograms(), cache).package("libc6").version == "1:1.1"


def test_a_refresh_downloads_only_what_is_new(source: Repository, cache: Path) -> None:
    TargetPackages(source.runner(), cache).package("libc6")
    for archive in source.pool.glob("*.deb"):
        archive.unlink()
    source.add("zlib1g", "1.1")
    source.update()
    packages = TargetPackages(source.runner(), cache, refresh=True)
    assert [package.version for package in packages.packages(["libc6", "zlib1g"])] == ["1.0", "1.1"]


def test_no_colon_of_a_version_gets_into_a_path(source: Repository, cache: Path) -> None:
    source.add("busybox-static", "1:1.35+b1")
    source.update()
    root = TargetPackages(source.runner(), cache).package("busybox-static").root
    assert root.is_dir()
    assert ":" not in str(root.relative_to(cache))


def test_a_tree_holds_several_packages_at_once(source: Repository, cache: Path) -> None:
    packages = TargetPackages(source.runner(), cache)
    tree = packages.tree(["libc6", "zlib1g"])
    assert sorted(path.name for path in (tree / "usr/share").iterdir()) == ["libc6", "zlib1g"]
    assert packages.tree(["zlib1g", "libc6"]) == tree
    assert packages.tree(["libc6"]) != tree


def test_an_unknown_package_is_named_and_the_cache_stays_usable(source: Repository, cache: Path) -> None:
    packages = TargetPackages(source.runner(), cache)
    with pytest.raises(MissingPackageError, match="package no-such-package: Unable to locate") as caught:
        packages.package("no-such-package")
    assert "\n" not in str(caught.value)
    assert packages.package("libc6").version == "1.0"


def test_a_distribution_without_our_kernel_is_told(source: Repository, cache: Path) -> None:
    source.add("linux-image-cloud-amd64", depends="something-else")
    source.update()
    with pytest.raises(
        MissingPackageError, match=r"linux-image-cloud-amd64: it depends on no package like .* 'something-else'"
    ):
        TargetPackages(source.runner(), cache).package("libc6")


def test_a_machine_without_package_lists_is_told_to_fetch_them(tmp_path: Path, cache: Path) -> None:
    empty = Repository(tmp_path / "source")
    with pytest.raises(NoPackageListsError, match=r"apt has no package lists, .* run 'apt-get update' as root"):
        TargetPackages(empty.runner(), cache).package("libc6")


def test_a_download_that_fails_leaves_the_cache_as_it_was(source: Repository, cache: Path) -> None:
    (source.pool / f"{KERNEL}_1.0_amd64.deb").unlink()
    with pytest.raises(DownloadError, match=f"cannot download .* more packages: .*{KERNEL}") as caught:
        TargetPackages(source.runner(), cache).package("libc6")
    assert "\n" not in str(caught.value)
    assert [path.name for path in cache.rglob("*") if "libc6" in path.name or path.suffix == ".deb"] == []


def test_a_damaged_download_is_refused_by_apt(source: Repository, cache: Path) -> None:
    archive = source.pool / "libc6_1.0_amd64.deb"
    archive.write_bytes(archive.read_bytes()[:-1] + b"?")
    with pytest.raises(DownloadError, match=r"libc6_1.0_amd64.deb .*Hash Sum mismatch"):
        TargetPackages(source.runner(), cache).package("libc6")
    assert not (cache / "target/amd64/packages/libc6_1.0_amd64").exists()


def test_a_machine_without_apt_is_told_which_tool_is_missing(cache: Path) -> None:
    with pytest.raises(MissingToolError, match="apt-cache: not found"):
        TargetPackages(NoPrograms(), cache).package("libc6")


def test_two_builders_at_once_share_one_download(source: Repository, cache: Path) -> None:
    found = []
    builders = [
        threading.Thread(target=lambda: found.append(TargetPackages(source.runner(), cache).package("libc6")))
        for _ in range(3)
    ]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(60)
    assert len(found) == 3
    assert len(set(found)) == 1


def test_a_kernel_that_left_the_cache_and_the_archive_is_replaced_by_the_new_one(
    source: Repository, cache: Path
) -> None:
    packages = TargetPackages(source.runner(), cache)
    gone = packages.package(packages.kernel_name()).root
    gone.rename(gone.with_name("gone"))
    newer = KERNEL.replace("-9-", "-10-")
    source.add(newer)
    source.add("linux-image-cloud-amd64", "1.1", depends=newer)
    source.update()
    packages = TargetPackages(source.runner(), cache)
    assert packages.package(packages.kernel_name()).name == newer


class Depth(SilentProgress):
    """Knows whether a step is running, and which have been."""

    def __init__(self) -> None:
        self.running: list[str] = []
        self.seen: list[str] = []
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        self.running.append(text)
        self.seen.append(text)
        yield
        self.running.pop()


class WatchedRunner(SystemRunner):
    """Remembers in which step each program ran."""

    def __init__(self, environ: Mapping[str, str], progress: Depth) -> None:
        super().__init__(environ)
        self.progress = progress
        self.ran: list[tuple[str, str]] = []

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> bytes:
        self.ran.append((str(argv[0]), (self.progress.running or ["no step"])[-1]))
        return super().run(argv, stdin=stdin, env=env, cwd=cwd)


def test_every_program_and_every_checksum_runs_in_a_step_of_the_progress(
    source: Repository, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = Depth()
    runner = WatchedRunner({"PATH": "/usr/bin:/bin", "APT_CONFIG": str(source.folder / "apt.conf")}, progress)
    read: list[str] = []

    def record_of(piece: Path, builder: str) -> record.Record:
        read.append((progress.running or ["no step"])[-1])
        return record.record_of(piece, builder)

    monkeypatch.setattr(store, "record_of", record_of)
    packages = TargetPackages(runner, cache, progress=progress)
    packages.tree(packages.standard())
    assert [step for _, step in [*runner.ran, *(("checksum", step) for step in read)] if step == "no step"] == []
    assert {program for program, _ in runner.ran} == {"apt-cache", "apt-get", "dpkg-deb"}
    assert f"unpack {KERNEL}_1.0_amd64" in progress.seen
    assert read[-1] == "lay the packages of the target over each other"


def flip(path: Path) -> None:
    path.write_bytes(b"?" + path.read_bytes()[1:])


def test_a_package_that_is_damaged_in_the_cache_is_fetched_again(source: Repository, cache: Path) -> None:
    root = TargetPackages(source.runner(), cache).package("libc6").root
    flip(root / "usr/share/libc6")
    assert TargetPackages(NoPrograms(), cache).identities(["libc6"]) == ["libc6_1.0_amd64"]
    progress = Depth()
    again = TargetPackages(source.runner(), cache, progress=progress).package("libc6")
    assert (again.root / "usr/share/libc6").read_text() == "1.0"
    assert progress.notes == [f"cache: {root} was damaged (usr/share/libc6 has other content); made again"]
    assert sum("download 1 packages" in step for step in progress.seen) == 1


def test_identities_of_what_is_not_there_are_found_out_by_fetching(source: Repository, cache: Path) -> None:
    names = ["libc6", "zlib1g"]
    assert TargetPackages(source.runner(), cache).identities(names) == ["libc6_1.0_amd64", "zlib1g_1.0_amd64"]
    assert TargetPackages(NoPrograms(), cache).identities(names) == ["libc6_1.0_amd64", "zlib1g_1.0_amd64"]
