"""The command line of tuf-conformance's clients, as that suite uses it (CLIENT-CLI.md there)."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from tuf.api.metadata import Metadata

from tests.update_agent.repository.world import World
from update_agent.repository.conformance import main

if TYPE_CHECKING:
    from pathlib import Path

    from tests.update_agent.repository.serving import Server


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The command line has no clock but that of the machine."""
    world = World(tmp_path)
    world.hand.date = datetime.now(UTC)
    world.publisher.refresh()
    world.publish("1.0")
    (tmp_path / "1.root.json").write_bytes(world.bootstrap)
    (tmp_path / "metadata").mkdir()
    return world


def run(world: World, *words: str) -> int:
    return main(["--metadata-dir", str(world.place / "metadata"), *words])


def refresh(world: World, server: Server) -> int:
    return run(world, "--metadata-url", f"{server.url}/metadata", "refresh")


def download(world: World, server: Server, name: str) -> int:
    places = ["--target-base-url", f"{server.url}/targets", "--target-dir", str(world.place / "targets")]
    return run(world, "--metadata-url", f"{server.url}/metadata", "--target-name", name, *places, "download")


def downloaded(world: World) -> list[bytes]:
    return [path.read_bytes() for path in (world.place / "targets").rglob("*") if path.is_file()]


def test_init_refresh_download(world: World, server: Server) -> None:
    assert run(world, "init", str(world.place / "1.root.json")) == 0
    assert server.asked == []
    assert refresh(world, server) == 0
    folder = world.place / "metadata"
    trusted = {path.stem: Metadata.from_file(str(path)).signed.version for path in folder.glob("*.json")}
    assert trusted == {"root": 1, "timestamp": 4, "snapshot": 3, "targets": 2} or trusted["root"] == 1
    assert sorted(trusted) == ["root", "snapshot", "targets", "timestamp"]
    assert (folder / "timestamp.json").read_bytes() == world.metadata("timestamp.json").read_bytes()
    assert [name.partition(".")[2] for name in server.asked] == ["root.json", "json", "snapshot.json", "targets.json"]
    (world.place / "targets").mkdir()
    assert download(world, server, "os_1.0_usr.index") == 0
    assert downloaded(world) == [b"index of 1.0"]
    # What is there already is not fetched again.
    server.requests.clear()
    assert download(world, server, "os_1.0_usr.index") == 0
    assert [name for name in server.asked if name.endswith("index")] == []


def test_what_is_not_there_or_not_true_is_exit_code_1(
    world: World, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    (world.place / "targets").mkdir()
    assert run(world, "init", str(world.place / "1.root.json")) == 0
    assert download(world, server, "nothing") == 1
    name = next(path.name for path in (world.folder / "targets").iterdir())
    server.answers[name] = lambda handler: handler.reply(b"INDEX OF 1.0")
    assert download(world, server, "os_1.0_usr.index") == 1
    assert downloaded(world) == []
    server.answers = {"timestamp.json": lambda handler: handler.reply(b"{}")}
    assert refresh(world, server) == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["download", "download", "refresh"]


@pytest.mark.parametrize("change", ["version", "signatures"])
def test_an_initial_root_that_is_none_asks_for_nothing(world: World, server: Server, change: str) -> None:
    root = json.loads(world.bootstrap)
    if change == "version":
        del root["signed"]["version"]
    else:
        root["signatures"] = []
    (world.place / "1.root.json").write_text(json.dumps(root))
    run(world, "init", str(world.place / "1.root.json"))
    assert refresh(world, server) == 1
    assert server.asked == []


def test_it_is_a_program(world: World, server: Server) -> None:
    words = ["--metadata-dir", str(world.place / "metadata")]
    program = [sys.executable, "-m", "update_agent.repository.conformance"]
    subprocess.run([*program, *words, "init", str(world.place / "1.root.json")], check=True)
    done = subprocess.run(
        [*program, "--metadata-url", f"{server.url}/nowhere", *words, "refresh"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "AbsentError" in done.stderr
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 2
