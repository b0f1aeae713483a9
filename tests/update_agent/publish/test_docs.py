"""docs/publishing.md, played from its first command to its last."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.documentation import ROOT, Step, steps
from tests.update_agent.publish.built import answer, build, image, patched
from tests.update_agent.repository.serving import Server
from update_agent.publish.check import check
from update_agent.publish.plan import Plan
from update_agent.publish.prune import GRACE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.update_agent.repository.world import World
    from update_agent.repository.release import Release

PAGE = ROOT / "docs/publishing.md"
IMAGES = {"1.0": image(1), "1.1": patched(image(1), 2)}
URL = "https://updates.example.com"


def play(step: Step, folder: Path, **replaced: str) -> subprocess.CompletedProcess[str]:
    """A command of the page, in a folder; image-builder's makes a small update of the same name."""
    if step.words[0] == "image-builder":
        place, version = step.words[step.words.index("-o") + 1], step.words[-1]
        (folder / "out").mkdir(exist_ok=True)
        build(folder / place, version, IMAGES[version])
        return subprocess.CompletedProcess([], 0, "", "")
    command = step.command.replace(URL, replaced.get("url", URL))
    path = f"{ROOT / '.venv/bin'}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}"  # noqa: PTH120
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment |= {"PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder in which all commands ran, and what each printed."""
    folder, said = tmp_path_factory.mktemp("publishing"), {}
    with Server(folder / "updates") as server:
        for step in steps(PAGE):
            if URL in step.command:
                shutil.copy(folder / "updates/metadata/1.root.json", folder / "root.json")
            done = play(step, folder, url=server.url)
            assert done.returncode == 0, (step.command, done.stderr)
            said[step.command] = done.stdout
    return folder, said


def printed(played: tuple[Path, dict[str, str]], words: str) -> str:
    """By the only command that has these words."""
    (text,) = [text for command, text in played[1].items() if words in command]
    return text


@pytest.mark.slow
def test_every_command_of_the_page_works(played: tuple[Path, dict[str, str]]) -> None:
    folder, said = played
    assert len(said) >= 15
    verbs = {command.split()[2] for command in said if command.startswith("updatectl publish")}
    assert verbs == {"init", "add", "promote", "withdraw", "list", "check", "refresh", "rotate", "revoke", "prune"}
    report = check(folder / "updates", (folder / "root.json").read_bytes())
    assert report.problems == ()
    (release,) = report.trusted.releases  # 1.0 is for nobody, and was pruned
    assert (release.version, release.groups, release.minimum_version) == ("1.1", ("alpha", "beta", "stable"), "1.0")
    assert [wave.percent for wave in release.waves] == [25]
    assert [delta.from_version for delta in release.deltas] == ["1.0"]


def test_the_keys_are_where_the_page_says(played: tuple[Path, dict[str, str]]) -> None:
    folder, _ = played
    assert {path.name for path in (folder / "safe").iterdir()} == {
        "root-1.pem",
        "root-2.pem",
        "root-3.pem",
        "targets-1.pem",
    }
    assert {path.name for path in (folder / "keys").iterdir()} == {
        "KEYS.txt",
        "snapshot-1.pem",
        "timestamp-1.pem",
        "timestamp-2.pem",
    }
    assert "counts no more" in printed(played, "revoke spare")
    assert len(answer("list", folder / "spare")["roles"]["root"]["keys"]) == 3
    listed = printed(played, "list updates")
    assert "os 1.0 for usr: nobody; " in listed
    assert "root-2.pem" in listed


def test_the_numbers_of_the_page_are_those_of_the_program() -> None:
    text = PAGE.read_text()
    plan = Plan()
    assert (plan.root.keys, plan.root.threshold, plan.root.days) == (3, 2, 2 * 365)
    assert (plan.targets.days, plan.snapshot.days, plan.timestamp.days) == (365, 30, 7)
    assert "A timestamp holds for 7 days and a snapshot for 30" in text
    assert f"When {GRACE.days} days are over" in text


def test_the_units_of_the_page_are_understood_and_their_command_runs(
    played: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, _ = played
    (block,) = re.findall(r"^```\n(# /etc/.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    units = re.findall(r"# /etc/systemd/system/(\S+)\n(.*?)(?=\n# /etc|\Z)", block, re.DOTALL)
    assert [name for name, _ in units] == ["updates-refresh.service", "updates-refresh.timer"]
    for name, text in units:
        (tmp_path / name).write_text(
            text.replace("ExecStart=updatectl", "ExecStart=/bin/true").replace("User=updates", "User=root")
        )
    checked = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name, _ in units)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    command = re.search(r"^ExecStart=(.*)$", block, re.MULTILINE)
    assert command is not None
    words = command[1].replace("/srv/updates", "updates").replace("/etc/updates/keys", "keys")
    assert play(Step(words, "", by_root=False), folder).returncode == 0


ORDER: list[Callable[[str], bool]] = [
    lambda name: not name.startswith("metadata/"),
    lambda name: not name.endswith((".root.json", "timestamp.json")),
    lambda name: not name.endswith(".root.json"),
    lambda _: True,
]


@pytest.mark.slow
def test_copied_in_the_order_of_the_page_machines_see_the_old_or_the_new(world: World) -> None:
    copy, numbers = world.place / "copy", range(1, 6)
    shutil.copytree(world.folder, copy)
    for number in numbers:
        old = seen(world, copy)
        world.publish(f"1.{number}")
        looks = copied(world, copy)
        assert {releases == seen(world, world.folder) for releases in looks} == {True, False}
        assert all(releases in (old, seen(world, world.folder)) for releases in looks)
    for role in ("timestamp", "snapshot", "targets", "root"):
        world.publisher.rotate(role)
        assert all(releases == seen(world, world.folder) for releases in copied(world, copy))


def seen(world: World, folder: Path) -> tuple[Release, ...]:
    report = check(folder, world.bootstrap, world.hand.clock())
    assert report.problems == ()
    return report.trusted.releases


def copied(world: World, copy: Path) -> list[tuple[Release, ...]]:
    """What a machine sees after each file that is copied."""
    looks = []
    for chosen in ORDER:
        for path in sorted(world.folder.rglob("*.*")):
            name = path.relative_to(world.folder).as_posix()
            if chosen(name) and (name == "metadata/timestamp.json" or not (copy / name).exists()):
                shutil.copy(path, copy / name)
                looks.append(seen(world, copy))
    return looks
