"""docs/updates.md, played from its first command to its last: what is published by the real commands, on a machine in a file."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from image_builder.definition.load import load_definition
from tests.documentation import ROOT, Step, blocks, steps, table
from tests.update_agent.agent.fleet import Box, system
from tests.update_agent.agent.test_choice import ME, NOW, chosen, release
from tests.update_agent.publish.built import build
from tests.update_agent.repository.serving import Server
from tests.update_agent.repository.world import Hand
from tests.update_agent.updates import describe, updatectl
from update_agent.agent.rebooting import permission
from update_agent.boot_chain import BootChain
from update_agent.cli import common
from update_agent.cli.main import main
from update_agent.config.agent_toml import read_agent_toml
from update_agent.config.configuration import configure
from update_agent.config.settings import Settings
from update_agent.repository.release import Wave

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = ROOT / "docs/updates.md"
STORY = [ROOT / "qemu_tests/story" / name for name in ("network/system.py", "network/pipeline.py", "cluster/system.py")]
URL = "https://updates.example.com/"
"""That of the page; here a server on loopback."""


@dataclass
class Published:
    """The repository of the page, as a machine in a file wants it."""

    folder: Path
    place: Path

    @property
    def root(self) -> bytes:
        """The root of trust, as the page has it in the image."""
        return (self.place / "root.json").read_bytes()


class Healthy(Box):
    """It boots when it is asked to, and its new system is healthy unless the page says otherwise."""

    def reboot(self) -> None:
        self.boot()
        self.prove()


class Play:
    """A folder in which everything is, a web server, and the machine."""

    def __init__(self, place: Path, server: Server, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place, self.server = place, server
        repo: Any = Published(place / "updates", place)
        self.box = Healthy(place, repo, hand, repository=server.url)
        self.patch = monkeypatch
        monkeypatch.chdir(place)
        monkeypatch.setattr("update_agent.publish.publisher.Clock", hand.clock)
        monkeypatch.setattr("update_agent.cli.status.version_of", lambda _: self.box.version)
        monkeypatch.setenv("SLOTBOOT_STATE_FOLDER", self.box.settings.state_folder)
        monkeypatch.setattr(common, "here", self._here)

    def _here(self, settings: Settings, _: object) -> object:
        self.box.settings = replace(self.box.settings, repository=settings.repository or self.server.url)
        return self.box.world

    def step(self, step: Step) -> tuple[int, str]:
        """A command of the page: exit code, and what it printed."""
        program, *words = shlex.split(step.command.replace("\\\n", " ").replace(URL, f"{self.server.url}/"))
        if program == "image-builder":
            return self._build(words)
        if program == "updatectl":
            done = updatectl(*(self._here_instead(word) for word in words))
            return done.exit_code, done.stdout if done.exit_code == 0 else done.stderr
        assert program in {"mkdir", "mv", "cp", "printf"}, step
        shell = subprocess.run(["sh", "-c", step.command], cwd=self.place, capture_output=True, text=True, check=False)
        return shell.returncode, shell.stdout

    def _build(self, words: list[str]) -> tuple[int, str]:
        """A small system in place of the one of the definition, which has to be one."""
        verb, definition, _, out, _, version = words
        (self.place / "root.tar").touch()
        for name, text in zip(("fleet.toml", "agent.toml"), blocks(PAGE, "toml"), strict=True):
            (self.place / name).write_text(text)
        assert load_definition(self.place / definition).slots
        assert f"IMAGE_VERSION={version}\n" in (self.place / "os-release").read_text()
        if verb == "artifacts":
            (self.place / "out").mkdir(exist_ok=True)
            build(self.place / out, version, system(version))
        return 0, ""

    def _here_instead(self, word: str) -> str:
        if word == "/dev/sdb":
            content = b"VERSION=7\n".ljust(1 << 20, b"\0")
            (self.place / "medium").mkdir()
            describe(self.place / "medium", content, version="7")
            (self.place / "medium/slot.img").write_bytes(content)
            return str(self.place / "medium")
        return word.replace("/mnt/usb", str(self.place))

    def fails(self) -> None:
        """The machine boots into 1.2, which is broken, and back; the agent looks."""
        self.box.broken.add("1.2")
        self.box.boot()
        self.box.tick(due=False)


BEFORE = {"## A rollback": Play.fails, "## Downgrade": Play.fails}
"""What happens to the machine before the commands of a section."""


def alike(text: str) -> str:
    """Without what is larger, or elsewhere, on a real disk."""
    text = re.sub(r"[\d.]+ MiB", "N MiB", text)
    return re.sub(r"partition \d", "partition N", text).strip()


def sections(place: Path) -> Iterator[tuple[str, list[Step]]]:
    """Headings and commands, in their order."""
    for text in re.split(r"^(?=## )", PAGE.read_text(), flags=re.MULTILINE):
        (place / "section.md").write_text(text)
        yield text.partition("\n")[0], steps(place / "section.md")


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    (tmp_path / "updates").mkdir()
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Server(tmp_path / "updates") as server:
        yield Play(tmp_path, server, Hand(), monkeypatch)


@pytest.mark.slow
def test_every_command_of_the_page_works_and_prints_what_it_shows(played: Play, tmp_path: Path) -> None:
    done = []
    for heading, commands in sections(tmp_path):
        if heading in BEFORE:
            BEFORE[heading](played)
        for step in commands:
            code, printed = played.step(step)
            assert code == 0, (step.command, printed)
            if step.output.strip():
                assert alike(printed) == alike(step.output), step.command
            done.append(" ".join(step.words[:2]))
    verbs = {"check", "install", "status", "history", "cancel", "resume", "config", "publish"}
    assert {f"updatectl {verb}" for verb in verbs} <= set(done)
    assert done.count("updatectl install") >= 8


def test_the_agent_does_what_the_page_says_without_a_person(played: Play, tmp_path: Path) -> None:
    for heading, commands in sections(tmp_path):
        if heading == "## From a keypair to the first update":
            for step in commands:
                assert played.step(step)[0] == 0, step
    played.box.settings = replace(played.box.settings, reboot_strategy="best-effort")
    played.box.tick()
    assert (played.box.version, played.box.attributes()) == ("1.1", {"1.0": "1/0/1", "1.1": "2/0/1"})


def test_the_files_of_the_page_are_right(tmp_path: Path) -> None:
    definition, settings = blocks(PAGE, "toml")
    for name in ("root.tar", "os-release", "root.json", "agent.toml"):
        (tmp_path / name).touch()
    (tmp_path / "fleet.toml").write_text(definition)
    found = load_definition(tmp_path / "fleet.toml")
    assert (found.name, [slot.section for slot in found.slots]) == ("os", ["usr"])
    configured = configure([read_agent_toml("agent.toml", settings.encode())])
    assert (configured.settings.repository, configured.settings.group) == (URL, "stable")


def test_what_an_image_needs_is_what_the_one_has_that_boots_in_the_suite() -> None:
    """Of which the suite makes a Debian that updates itself."""
    suite = "".join(file.read_text() for file in STORY)
    words = [
        word for row in table(PAGE, "## What an image needs") for cell in row for word in re.findall(r"`([^`]+)`", cell)
    ]
    named = [word for word in words if word.startswith(("/usr", "/var", "IMAGE_")) or word.endswith(".service")]
    assert len(named) >= 9
    for word in named:
        if word != "/usr/bin/updatectl":  # which it makes by a loop
            assert word.removesuffix("/agent.toml") in suite, word


KERNEL = replace(ME, chain=BootChain("6.1.0-41", hands_over=False))
WHY = [
    chosen(),
    chosen(release("0.9", groups=("beta",))),
    chosen(release("1.0")),
    chosen(release("1.1", groups=("alpha",))),
    chosen(release("1.1", waves=(Wave(datetime(2026, 12, 3, 6, tzinfo=UTC), 100),))),
    chosen(release("1.1", waves=(Wave(NOW, 0),))),
    chosen(release("1.1", minimum_version="1.0.5")),
    chosen(release("1.1"), bad={"1.1": "it never proved itself"}),
    chosen(release("1.1", kernel_releases=("6.1.0-42",)), me=KERNEL),
    chosen(release("1.1"), release("1.1", slot="other")),
]
"""What a machine says in each case of the page's table."""


def test_the_reasons_of_the_table_are_those_that_a_machine_gives() -> None:
    rows = [said.strip("`") for said, _ in table(PAGE, "## Why is there no update for me")]
    assert len(rows) == len(WHY)
    for row, said in zip(rows, WHY, strict=True):
        text = said.removeprefix("no: ")
        assert text == row or (row.endswith("\u2026") and text.startswith(row[:-1])), row


def test_the_strategies_of_the_table_hold_what_it_says() -> None:
    for names, when in table(PAGE, "## What a machine does by itself"):
        for name in re.findall(r"`([\w-]+)`", names):
            if name == "best-effort" and "endpoint" in names:
                held = permission(Settings(reboot_strategy=name, lock_endpoint="http://etcd"))
            else:
                held = permission(Settings(reboot_strategy=name))
            assert (held is None) == (when == "at once"), name


def recipes() -> list[str]:
    """The blocks in no language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [text for language, text in found if not language]


def words_of(text: str) -> list[list[str]]:
    """The calls of ``updatectl`` in a recipe."""
    return [shlex.split(found) for found in re.findall(r"updatectl ((?:[\w./-]+ ?)+)", text)]


def test_the_recipes_call_what_there_is() -> None:
    ansible, ci = recipes()
    tasks = yaml.safe_load(ansible)
    assert [next(iter(task)) for task in tasks] == [
        "ansible.builtin.command", "ansible.builtin.reboot", "ansible.builtin.command",
    ]  # fmt: skip
    calls = words_of(ansible) + words_of(ci)
    assert len(calls) == 5
    for words in calls:
        context = main.make_context("updatectl", list(words))
        name, command, rest = main.resolve_command(context, words)
        assert command is not None
        command.make_context(name, rest, parent=context)


SSH = """#!/bin/sh
case "$*" in *--wait) ;; *) exit 0 ;; esac
read -r code rest <codes
echo "$rest" >codes
exit "$code"
"""


@pytest.mark.parametrize(("codes", "ends"), [("255 255 0", 0), ("255 1", 1), ("0", 0)])
def test_the_recipe_for_ci_waits_for_the_verdict(codes: str, ends: int, tmp_path: Path) -> None:
    _, recipe = recipes()
    programs = {"ssh": SSH, "sleep": "#!/bin/sh\n", "updatectl": '#!/bin/sh\necho "$@" >promoted\n'}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "codes").write_text(f"{codes}\n")
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-c", recipe], cwd=tmp_path, env={"PATH": path}, check=False)
    assert done.returncode == ends
    assert (tmp_path / "promoted").exists() == (ends == 0)
