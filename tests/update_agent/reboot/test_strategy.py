"""What each strategy makes of settings and units."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from update_agent.config.settings import STRATEGIES, Settings
from update_agent.reboot.strategy import ETCD, FLEET_LOCK, UNITS, Hold, Locked, Now, Unit, decide, etcd_units

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ENDPOINT = "http://10.0.0.1:2379"
# systemd's own list: systemctl --state=help
STATES = ("active", "reloading", "inactive", "failed", "activating", "deactivating", "maintenance")


def said(strategy: str, endpoint: str = "", units: Sequence[Unit] | None = ()) -> Now | Hold | Locked:
    return decide(Settings(reboot_strategy=strategy, lock_endpoint=endpoint), lambda: units)


def test_each_strategy_that_does_not_look_around() -> None:
    for endpoint in ("", ENDPOINT):
        assert said("reboot", endpoint, None) == Now()
        assert said("etcd-lock", endpoint, None) == Locked(ETCD)
        assert said("fleet-lock", endpoint, None) == Locked(FLEET_LOCK)
        off = said("off", endpoint, None)
        assert isinstance(off, Hold)
        assert off.give_back
    assert set(STRATEGIES) == {"reboot", "etcd-lock", "fleet-lock", "off", "best-effort"}


@pytest.mark.parametrize("units", [None, (), (Unit("etcd.service", "inactive"),), (Unit("etcd.service", "failed"),)])
def test_best_effort_locks_wherever_an_endpoint_is_configured(units: Sequence[Unit] | None) -> None:
    assert said("best-effort", ENDPOINT, units) == Locked(ETCD)


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.parametrize("state", [*STATES, "a state that systemd will have some day"])
def test_best_effort_is_free_only_where_every_unit_is_inactive(name: str, state: str) -> None:
    found = said("best-effort", units=[Unit(one, state if one == name else "inactive") for one in UNITS])
    if state == "inactive":
        assert found == Now()
    elif state in ("active", "reloading"):
        assert found == Locked(ETCD)
    else:
        assert isinstance(found, Hold)
        assert name in found.reason
        assert state in found.reason
        # The place that it may have is not given back, since the lock is only away.
        assert not found.give_back


def test_best_effort_locks_where_one_unit_runs_and_another_failed() -> None:
    assert said("best-effort", units=[Unit("etcd2.service", "failed"), Unit("etcd.service", "active")]) == Locked(ETCD)


def test_best_effort_waits_where_systemd_does_not_answer() -> None:
    assert isinstance(said("best-effort", units=None), Hold)


def systemctl(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "systemctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


# systemd 252, with etcd.service only.
SHOWN = r"""printf 'Id=etcd.service\nActiveState=activating\n\n'
printf 'Id=etcd-member.service\nActiveState=inactive\n\nId=etcd2.service\nActiveState=inactive\n'"""


def test_the_units_are_those_that_systemctl_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    systemctl(
        tmp_path, monkeypatch, f'[ "$*" = "show --property=Id,ActiveState {" ".join(UNITS)}" ] || exit 9\n{SHOWN}'
    )
    assert etcd_units(tmp_path) == (
        Unit("etcd.service", "activating"),
        Unit("etcd-member.service", "inactive"),
        Unit("etcd2.service", "inactive"),
    )


@pytest.mark.parametrize("script", [f"{SHOWN}\nexit 1", "echo Id=etcd.service", "exit 0", "echo ActiveState=inactive"])
def test_an_answer_that_is_not_whole_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    systemctl(tmp_path, monkeypatch, script)
    assert etcd_units(tmp_path) is None


def test_without_systemd_there_are_no_units(tmp_path: Path) -> None:
    assert etcd_units(tmp_path / "none") == ()
