"""``check`` sees a repository as a machine would that has never seen it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.update_agent.repository.world import World, fetching
from update_agent.publish.check import check
from update_agent.publish.errors import NoRepositoryError
from update_agent.repository.errors import (
    AbsentError,
    ExpiredError,
    MismatchError,
    SignatureError,
)
from update_agent.repository.folder import FolderFetcher
from update_agent.transport.errors import FileSourceError, TooMuchError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.update_agent.repository.serving import Server


@pytest.mark.parametrize("where", ["folder", "url"])
def test_a_whole_repository_has_no_problems(world: World, server: Server, where: str) -> None:
    world.publish("1.0")
    world.publish("1.1")
    world.publisher.rotate("root")
    source = world.folder if where == "folder" else server.url
    report = check(source, clock=world.hand.clock())
    assert [release.version for release in report.trusted.releases] == ["1.0", "1.1"]
    assert (report.files, report.problems) == (2, ())
    assert len(server.asked) == (0 if where == "folder" else 10)


@pytest.mark.parametrize("where", ["folder", "url"])
def test_each_file_that_is_wrong_is_a_line(world: World, server: Server, where: str) -> None:
    source = world.folder if where == "folder" else server.url
    releases = [world.publish(version) for version in ("1.0", "1.1", "1.2", "1.3")]
    (world.folder / "targets" / f"{releases[0].index.sha256}.{releases[0].index.name}").unlink()
    (world.folder / "targets" / f"{releases[1].index.sha256}.{releases[1].index.name}").write_bytes(b"INDEX OF 1.1")
    (world.folder / "blobs" / releases[2].blob).unlink()
    (world.folder / "blobs" / releases[3].blob).write_bytes(b"cut")
    problems = check(source, clock=world.hand.clock()).problems
    assert len(problems) == 4
    gone = "No such file" if where == "folder" else "404"
    for problem, text in zip(problems, [gone, "does not match", gone, "it has 3 bytes"], strict=True):
        assert text in problem


def test_metadata_that_are_not_believed_are_an_error(world: World, tmp_path: Path) -> None:
    world.publish("1.0")
    stranger = World(tmp_path / "stranger")
    with pytest.raises(SignatureError):
        check(world.folder, stranger.bootstrap, world.hand.clock())
    world.metadata("2.targets.json").write_bytes(world.metadata("1.targets.json").read_bytes())
    with pytest.raises(MismatchError):
        check(world.folder, clock=world.hand.clock())
    world.hand.pass_days(8)
    with pytest.raises(ExpiredError):
        check(world.folder, clock=world.hand.clock())
    with pytest.raises(NoRepositoryError):
        check(tmp_path / "nothing")
    with pytest.raises(AbsentError):
        check(tmp_path)


def test_a_folder_is_not_left_and_pipes_are_not_waited_for(world: World) -> None:
    (world.place / "secret").write_text("x")
    fetcher, base = FolderFetcher(world.folder), world.folder.as_uri()
    (world.folder / "link").symlink_to(world.place / "secret")
    os.mkfifo(world.folder / "pipe")
    (world.folder / "large").write_bytes(bytes(11))
    for name in ("../secret", "%2e%2e/secret", "link"):
        with pytest.raises(FileSourceError, match="it is outside"):
            fetcher.download_bytes(f"{base}/{name}", 10)
    for name in ("pipe", "metadata"):
        with pytest.raises(FileSourceError):
            fetcher.download_bytes(f"{base}/{name}", 10)
    with pytest.raises(TooMuchError):
        fetcher.download_bytes(f"{base}/large", 10)
    assert fetcher.source(f"{base}/large").size() == 11
    assert b"".join(fetcher.fetch(f"{base}/large")) == bytes(11)
    with fetcher.download_file(f"{base}/large", 11) as file:
        assert file.read() == bytes(11)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Content_Range": "bytes 0-0/*"}, "does not say how large the file is"),
        ({}, "bytes 0-0 were asked for, and None came"),
    ],
)
def test_a_server_that_says_no_length(world: World, server: Server, headers: dict[str, str], said: str) -> None:
    blob = world.publish("1.0").blob
    server.answers[blob] = lambda handler: handler.reply(b"x", 206, **headers)
    problems = check(server.url, clock=world.hand.clock(), fetcher=fetching(world.hand)).problems
    assert len(problems) == 1
    assert said in problems[0]


def test_a_server_without_ranges_is_none_for_machines(world: World, server: Server) -> None:
    blob = world.publish("1.0").blob
    server.answers[blob] = lambda handler: handler.reply(b"frames of 1.0")
    (problem,) = check(server.url, clock=world.hand.clock()).problems
    assert "the server sends the whole file where a range was asked for" in problem
