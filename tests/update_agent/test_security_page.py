"""docs/security.md: each test that it names is there, and its commands work."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.documentation import ROOT, Step, steps, table
from tests.update_agent.publish.built import answer, build, image
from tests.update_agent.publish.test_docs import play
from update_agent.publish.check import check
from update_agent.publish.plan import Plan

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs/security.md"
NAMED = re.compile(r"`([a-z_/]+)::(test_[a-z0-9_]+)`")
BEFORE = [
    "updatectl publish init updates --keys keys",
    "mkdir -m 700 safe",
    "mv keys/root-1.pem keys/root-2.pem keys/root-3.pem keys/targets-1.pem safe",
    "updatectl publish add updates out/1.0 --keys keys --keys safe --group stable",
    "updatectl publish add updates out/6.6 --keys keys --keys safe --group stable",
]
"""What publishing.md did; 6.6 is of somebody else."""


def test_each_test_that_the_page_names_is_there() -> None:
    named = NAMED.findall(PAGE.read_text())
    assert len(named) > 40
    for file, name in named:
        text = (ROOT / "tests/update_agent" / f"{file}.py").read_text()
        assert f"\ndef {name}(" in text, f"{file}::{name}"


def test_each_attack_names_who_proves_it() -> None:
    attacks = table(PAGE, "## What each attack meets")
    assert len(attacks) > 10
    assert all(NAMED.search(row[-1]) for row in attacks)
    trusted = table(PAGE, "## Who is trusted with what")
    assert [row[0] for row in trusted if not NAMED.search(row[-1])] == [
        "the root of trust, the settings, the programs in the running slot"  # nothing could be shown
    ]


@pytest.mark.slow
def test_the_commands_work_and_machines_believe_what_is_there_then(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    for number, version in enumerate(("1.0", "6.6")):
        build(tmp_path / "out" / version, version, image(number))
    for command in (*BEFORE, "cp updates/metadata/1.root.json root.json"):
        assert play(Step(command, "", by_root=False), tmp_path).returncode == 0, command
    names = {path.name for path in (tmp_path / "safe").iterdir()}
    for step in steps(PAGE):
        done = play(step, tmp_path)
        assert done.returncode == 0, (step.command, done.stderr)
    report = check(tmp_path / "updates", (tmp_path / "root.json").read_bytes())
    assert report.problems == ()
    assert [release.version for release in report.trusted.releases if release.groups] == ["1.0"]
    roles = answer("list", tmp_path / "updates", "--keys", tmp_path / "keys", "--keys", tmp_path / "safe")["roles"]
    assert len(roles["root"]["keys"]) == 3
    # The offline keys are where they belong.
    assert {path.name for path in (tmp_path / "safe").iterdir()} == names | {"targets-2.pem", "targets-3.pem"}
    assert all(path.name.startswith(("snapshot", "timestamp", "KEYS")) for path in (tmp_path / "keys").iterdir())


def test_the_days_are_those_of_the_program() -> None:
    plan, text = Plan(), PAGE.read_text()
    assert (plan.timestamp.days, plan.snapshot.days, plan.targets.days, plan.root.days) == (7, 30, 365, 730)
    assert (plan.root.threshold, plan.root.keys) == (2, 3)
    assert "timestamp 7 days, snapshot 30, targets a year, root two" in text
