"""docs/reboot.md says what the code does."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from tests.documentation import ROOT, blocks, table
from update_agent.config.environment import HOOKS
from update_agent.config.kinds import show_duration
from update_agent.config.periods import DAYS, parse_length, parse_start
from update_agent.config.settings import STRATEGIES, Settings
from update_agent.reboot import plan
from update_agent.reboot.hooks import FOLDERS, POST_GOOD, PRE_REBOOT
from update_agent.reboot.promise import Verdict
from update_agent.reboot.strategy import UNITS
from update_agent.reboot.warning import CANCELLED, PATIENCE, message, reboot_in
from update_agent.reboot.window import Window

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs/reboot.md"
TEXT = PAGE.read_text()
BERLIN = ZoneInfo("Europe/Berlin")
OFFSETS = {"CET": "+01:00", "CEST": "+02:00"}
EXAMPLES = ROOT / "examples/kubernetes"


def section(heading: str) -> str:
    return TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_strategies_are_those_of_the_settings() -> None:
    assert [row[0].strip("`") for row in table(PAGE, "## Strategies")] == list(STRATEGIES)
    assert f"`{Settings().reboot_strategy}` | as `etcd-lock`" in TEXT
    assert ", ".join(f"`{name}`" for name in UNITS) in TEXT


def test_the_order_is_that_of_the_plan() -> None:
    (order,) = [line.strip() for line in (plan.__doc__ or "").splitlines() if "->" in line]
    assert order == blocks(PAGE, "")[0].strip()


@pytest.mark.parametrize("cells", table(PAGE, "## Windows"))
def test_the_windows_are_some(cells: list[str]) -> None:
    start, length = parse_start(cells[0].strip("`")), parse_length(cells[1].strip("`"))
    now = datetime(2026, 6, 1, 12, tzinfo=UTC)
    opened = Window(start, length, UTC).next_opening(now)
    assert re.findall(r"\d\d:\d\d", cells[2]) in ([], [f"{opened:%H:%M}", f"{opened + length:%H:%M}"])
    assert all(f"`{day.title()}`" in TEXT for day in DAYS)


def test_the_days_when_the_clock_is_changed_are_as_the_table_says() -> None:
    rows = re.findall(
        r"^\| (2026-\d\d-\d\d).*\| `([\d:]+)`, `(\w+)` \| ([\d:]+) (\w+) to ([\d:]+) (\w+)", TEXT, re.MULTILINE
    )
    assert len(rows) == 4
    for date, start, length, begin, begins, end, ends in rows:
        found = Window(parse_start(start), parse_length(length), BERLIN)
        first = datetime.fromisoformat(f"{date}T{begin}{OFFSETS[begins]}")
        assert found.next_opening(datetime.fromisoformat(f"{date}T00:00+02:00")) == first
        assert first + found.length == datetime.fromisoformat(f"{date}T{end}{OFFSETS[ends]}")


def test_times_are_those_of_the_code() -> None:
    settings = Settings()
    assert "`reboot.warning` (5 minutes)" in TEXT
    assert "`reboot.inhibit-time` (1 hour)" in TEXT
    assert "`reboot.drain-timeout` (10 minutes)" in TEXT
    shown = [show_duration(one) for one in (settings.reboot_warning, settings.inhibit_time, settings.drain_timeout)]
    assert shown == ["5m", "1h", "10m"]
    assert plan.DRAIN_EVERY == 600
    assert TEXT.count("after 10 minutes") == 2
    assert PATIENCE == 2
    assert "given up after 2 seconds" in TEXT


def test_the_warning_reads_as_shown() -> None:
    now = datetime(2026, 11, 28, 12, 40, 34, 136894, tzinfo=UTC)
    lines = message(reboot_in(300), now).decode().replace("\a", "").split("\r\n")
    assert [line.strip() for line in lines if line.strip()] == blocks(PAGE, "")[1].splitlines()
    assert f"`{CANCELLED}`" in TEXT


def test_hooks_and_their_variables_are_all_there() -> None:
    assert [row[0].strip("`") for row in table(PAGE, "## Hooks")] == [f"{PRE_REBOOT}.d", f"{POST_GOOD}.d"]
    assert all(f"`{folder}`" in section("Hooks") for folder in FOLDERS)
    rows = dict(re.findall(r"^\| `(SLOTBOOT_\w+)` \| (.*) \|$", TEXT, re.MULTILINE))
    assert sorted(rows) == sorted(HOOKS)
    outcomes = re.findall(r"`([a-z-]+)`", rows["SLOTBOOT_OUTCOME"])
    assert set(outcomes) == {*filter(None, map(str, Verdict)), plan.GIVEN_UP}


def test_the_kubelet_waits_for_the_proof(tmp_path: Path) -> None:
    """systemd reads the drop-in, and finds the order."""
    for name, text in {
        "kubelet.service": "[Service]\nExecStart=/bin/true\n",
        "kubelet.service.d/10-slotboot.conf": (EXAMPLES / "kubelet.service.d/10-slotboot.conf").read_text(),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    argv = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "kubelet.service")]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = (tmp_path / "kubelet.service.d/10-slotboot.conf").read_text().splitlines()
    assert {"Requires=boot-complete.target", "After=boot-complete.target"} <= set(lines)


KUBECTL = """#!/bin/sh
echo "$*" >>{calls}
case "$1 $2" in
"get node") case "$*" in *unschedulable*) echo "{unschedulable}" ;; *) echo "{mark}" ;; esac ;;
"drain "*) exit {code} ;;
esac
"""


@pytest.mark.parametrize(
    ("hook", "unschedulable", "mark", "code", "called"),
    [
        ("pre-reboot.d/50-drain", "", "", 0, ["annotate --overwrite node n1 slotboot/drained-for=1.1", "drain n1"]),
        ("pre-reboot.d/50-drain", "", "", 1, ["annotate --overwrite node n1 slotboot/drained-for=1.1", "drain n1"]),
        ("pre-reboot.d/50-drain", "true", "", 0, ["drain n1"]),
        ("post-good.d/50-uncordon", "true", "1.1", 0, ["uncordon n1", "annotate node n1 slotboot/drained-for-"]),
        ("post-good.d/50-uncordon", "true", "", 0, []),
    ],
)
def test_the_examples_drain_a_node_and_undo_only_that(
    tmp_path: Path, hook: str, unschedulable: str, mark: str, code: int, called: list[str]
) -> None:
    calls, program = tmp_path / "calls", tmp_path / "kubectl"
    program.write_text(KUBECTL.format(calls=calls, unschedulable=unschedulable, mark=mark, code=code))
    program.chmod(0o755)
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin", "NODE_NAME": "n1", "SLOTBOOT_VERSION": "1.1"}
    done = subprocess.run([EXAMPLES / hook], env=variables, capture_output=True)
    assert done.returncode == code
    found = [line.partition(" --ignore")[0] for line in calls.read_text().splitlines() if not line.startswith("get ")]
    assert found == called
