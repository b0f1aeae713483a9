"""``bootselect health``: the checks that decide whether a slot is good."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import click

from bootselect.active import find_active
from bootselect.cli.options import JSON
from bootselect.click_support import say, warn
from bootselect.errors import BootselectError
from bootselect.health import DEFAULT_TIMEOUT, FOLDERS, RED, WANTED, Health, Outcome, check_health
from gptlib.disk import Disk
from gptlib.errors import GptError

REBOOT = ("systemctl", "reboot")


@click.command("health")
@click.option(
    "--folder", "folders", multiple=True, type=click.Path(path_type=Path), help="Where the checks are; may be repeated."
)
@click.option("--timeout", type=click.FloatRange(min=0.1), default=DEFAULT_TIMEOUT, show_default=True, help="Seconds.")
@click.option("--reboot", is_flag=True, help="Reboot when they fail and the active slot has not proved itself.")
@JSON
def health_command(folders: tuple[Path, ...], timeout: float, reboot: bool, as_json: bool) -> None:
    """Run the health checks; exits 0 when all required ones passed, 1 when not.

    A slot that has proved itself is not rebooted when its checks fail: it would be chosen again, for ever.
    """
    outcomes = []
    for outcome in check_health(folders or FOLDERS, timeout):
        outcomes.append(outcome)
        if not as_json:
            _show(outcome)
    health = Health(tuple(outcomes))
    if as_json:
        click.echo(json.dumps(_to_json(health), indent=2))
    if not health.failed:
        return
    names = ", ".join(outcome.name for outcome in health.failed)
    warn(f"health check failed: {names}")
    if reboot:
        _reboot_unless_proven()
    raise SystemExit(1)


def _show(outcome: Outcome) -> None:
    for line in outcome.output.splitlines():
        say(f"  {line}")
    say(f"{outcome.kind}: {outcome.name}: {outcome.problem or 'passed'}")
    if outcome.kind in {WANTED, RED} and outcome.problem:
        warn(f"{outcome.kind} check {outcome.name} {outcome.problem}")


def _to_json(health: Health) -> dict[str, object]:
    checks = [
        {"name": outcome.name, "kind": outcome.kind, "problem": outcome.problem, "output": outcome.output}
        for outcome in health.outcomes
    ]
    return {"healthy": not health.failed, "checks": checks}


def _reboot_unless_proven() -> None:
    try:
        active = find_active()
        with Disk.open(active.disk) as disk:
            proven = disk.table().partition(active.number).attributes.successful
    except (BootselectError, GptError) as error:
        warn(f"no reboot: {error}")
        return
    if proven:
        warn(
            "no reboot: the active slot has proved itself and would be chosen again; look at the checks, or leave it with: "
            "bootselect rollback"
        )
        return
    warn("rebooting: the slot has not proved itself")
    subprocess.run(REBOOT, check=True)
