"""The metrics, judged by the parser of Prometheus' own library, and by promtool where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.update_agent.state.machines import BAD, LATER, NOW, PATHS, event, machine_in
from update_agent.agent.coordination import Coordinator
from update_agent.agent.journal import Journal
from update_agent.agent.metrics import COUNTERS, GAUGES, Metrics
from update_agent.agent.notify import Notifier
from update_agent.agent.place import Place
from update_agent.agent.showing import Showing
from update_agent.agent.view import view_of
from update_agent.lock.group import View
from update_agent.lock.metrics import metrics_of
from update_agent.lock.records import Record
from update_agent.lock.semaphore import Semaphore
from update_agent.state.machine import Machine, Progress, advance
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from pathlib import Path

A = "slotboot_update_agent_"
# date -u -d 2026-11-28T12:00:00Z +%s, and 45 minutes later
NOON, THREE_QUARTERS = 1795867200, 1795869900


def metrics() -> Metrics:
    return Metrics("beta", "fleet-lock", enabled=True)


def read(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """(name, value of each label) -> value."""
    families = text_string_to_metric_families(metrics.text().decode())
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_the_numbers_are_those_of_the_view() -> None:
    machine = replace(machine_in(State.DOWNLOADING, BAD), progress=Progress(1, 4), checked=NOW)
    shown = metrics()
    shown.show(view_of(machine, "1.0", 400), LATER)
    found = read(shown)
    assert found[f"{A}latest_state_change_timestamp",] == NOON
    assert found[f"{A}last_check_timestamp",] == NOON
    assert found[f"{A}last_refresh_timestamp",] == THREE_QUARTERS
    assert found[f"{A}update_size_bytes",] == 400
    assert found[f"{A}step_progress_ratio",] == 0.25
    assert found[f"{A}known_bad_versions",] == 1
    assert found[f"{A}updates_enabled",] == 1
    assert found["slotboot_updates_strategy_mode", "fleet-lock"] == 1
    assert found["slotboot_identity_os_info", "beta", "1.0", "1.1"] == 1


@pytest.mark.parametrize("state", State)
def test_exactly_one_state_is_shown(state: State) -> None:
    shown = metrics()
    shown.show(view_of(machine_in(state), "1.0"), NOW)
    states = {labels[0]: value for (name, *labels), value in read(shown).items() if name == f"{A}state"}
    assert states == {str(other): float(other is state) for other in State}


def test_a_place_in_the_lock_is_shown_as_the_server_shows_it_and_none_is_none() -> None:
    shown = metrics()
    assert not any("lock" in name for name, *_ in read(shown))
    shown.place = Place("web", "c0ffee", NOW)
    held = {key: value for key, value in read(shown).items() if "lock" in key[0]}
    assert held == {
        ("slotboot_lock_holder", "web", "c0ffee"): 1,
        ("slotboot_lock_holder_since_seconds", "web", "c0ffee"): NOON,
    }
    view = View(Semaphore(1, ("c0ffee",)), 1, (Record("c0ffee", NOW),), (), {})
    families = text_string_to_metric_families(metrics_of({"web": view}))
    served = {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}
    assert held.items() <= served.items()


def test_a_place_that_is_kept_is_shown_and_a_machine_that_waits_is_no_holder() -> None:
    shown = metrics()
    shown.place = Place("web", "c0ffee", None, kept=True)
    assert {key: value for key, value in read(shown).items() if "lock" in key[0]} == {
        ("slotboot_lock_holder", "web", "c0ffee"): 2
    }
    shown.place = Place("web", "c0ffee", NOW, ahead=3, why='1 of 1 places are taken: "a"')
    assert {key: value for key, value in read(shown).items() if "lock" in key[0]} == {
        ("slotboot_lock_ahead", "web", "c0ffee", '1 of 1 places are taken: "a"'): 3,
        ("slotboot_lock_waiting_since_seconds", "web", "c0ffee"): NOON,
    }


def test_a_place_in_the_lock_is_in_the_file_as_soon_as_it_is_known(tmp_path: Path) -> None:
    path, told = tmp_path / "metrics.prom", list[str]()
    showing = Showing(
        "1.0",
        Journal(None, told.append),
        metrics(),
        str(path),
        Coordinator("etcd-lock", str(tmp_path)),
        Notifier.of({}),
        lambda: NOW,
        told.append,
        run=str(tmp_path),
    )
    showing.show(machine_in(State.WAITING))
    assert "slotboot_lock" not in path.read_text()
    showing.show_place(Place("web", "c0ffee", NOW))
    assert 'slotboot_lock_holder{group="web",machine="c0ffee"} 1.0\n' in path.read_text()
    showing.show_place(None)
    assert "slotboot_lock" not in path.read_text()
    assert told == []


def lived(metrics: Metrics, *path: Happening) -> None:
    machine = Machine(since=NOW)
    for what in path:
        after = advance(machine, event(what))
        metrics.count(machine, after)
        # What is saved again without a change, as each bit of a download is, counts once.
        metrics.count(after, after)
        machine = after


def test_a_life_is_counted() -> None:
    shown = metrics()
    lived(shown, *PATHS[State.GOOD], Happening.SETTLE, *PATHS[State.ROLLED_BACK])
    lived(shown, Happening.CHECK, Happening.FAIL, Happening.CHECK, Happening.FOUND, Happening.REFUSE)
    found = {name: value for (name, *_), value in read(shown).items() if name.endswith("_total")}
    assert found == {
        f"{A}checks_total": 4,
        f"{A}failures_total": 1,
        f"{A}refusals_total": 1,
        f"{A}installations_total": 2,
        f"{A}finalization_attempts_total": 2,
        f"{A}updates_total": 1,
        f"{A}rollbacks_total": 1,
    }


def test_progress_is_not_counted_again() -> None:
    shown = metrics()
    shown.show(view_of(machine_in(State.IDLE), "1.0"), NOW)
    lived(shown, *PATHS[State.DOWNLOADING], Happening.PROGRESS, Happening.PROGRESS)
    assert read(shown)[f"{A}checks_total",] == 1


def test_there_is_nothing_but_what_the_tables_name() -> None:
    shown = metrics()
    shown.show(view_of(machine_in(State.IDLE), "1.0"), NOW)
    names = {name for name, *_ in read(shown) if name.startswith(A)}
    others = {f"{A}last_refresh_timestamp", f"{A}updates_enabled", f"{A}state"}
    assert names == {level.name for level in GAUGES} | {f"{name}_total" for name in COUNTERS} | others


def test_the_file_appears_whole_and_everybody_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "run/metrics.prom"
    shown = metrics()
    shown.show(view_of(machine_in(State.IDLE), "1.0"), NOW)
    shown.write(str(path))
    shown.write(str(path))
    assert path.read_bytes() == shown.text()
    assert path.stat().st_mode & 0o777 == 0o644
    assert [found.name for found in path.parent.iterdir()] == ["metrics.prom"]


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool (Debian: prometheus) is not installed")
def test_promtool_finds_no_fault() -> None:
    shown = metrics()
    shown.show(view_of(machine_in(State.IDLE), "1.0"), NOW)
    done = subprocess.run(["promtool", "check", "metrics"], input=shown.text(), capture_output=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
