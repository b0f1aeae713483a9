"""``locksmithctl reboot`` and ``send-need-reboot``."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from update_agent.cli.locksmith_flags import Flags, RebootError, fail, group_of, saying, settings_of_agent, this_machine
from update_agent.lock.errors import HolderExistsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from update_agent.config.settings import Settings

_NEED_REBOOT = ["/com/coreos/update1", "com.coreos.update1.Manager", "StatusUpdate", "xdssx", "0", "0"]


@click.command("reboot")
@click.pass_obj
def reboot(flags: Flags) -> None:
    """Reboot this machine, with a place where reboot.strategy asks for one. Nothing is asked of etcd where it does not."""
    if os.geteuid() != 0:
        fail("Must be root to initiate reboot.")
    settings = flags.over(settings_of_agent())
    with place_for_reboot(flags, settings):
        argv = ["systemctl", "reboot"]
        try:
            done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=90)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RebootError(str(error)) from error
        if done.returncode:
            raise RebootError(done.stderr.strip() or f"systemctl: exit code {done.returncode}")


@click.command("send-need-reboot")
def send_need_reboot() -> None:
    """Send the D-Bus signal of an update that waits for its reboot, to try what listens for it."""
    argv = ["busctl", "--system", "emit", *_NEED_REBOOT, "UPDATE_STATUS_UPDATED_NEED_REBOOT", "", "0"]
    try:
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        fail(f"error emitting signal: {error}")
    if done.returncode:
        fail(f"error emitting signal: {done.stderr.strip()}")


@contextmanager
def place_for_reboot(flags: Flags, settings: Settings) -> Iterator[None]:
    """A place where the strategy asks for one; given back where the block fails, if it was taken here."""
    from update_agent.lock.coordinator import Held
    from update_agent.lock.open import fleet_lock
    from update_agent.reboot.strategy import ETCD, FLEET_LOCK, Hold, Locked, decide, etcd_units

    decision = decide(settings, etcd_units)
    if isinstance(decision, Hold) and not decision.give_back:
        fail(f"Error locking: {decision.reason}")
    if decision == Locked(FLEET_LOCK):
        with saying("Error locking"):
            fleet = fleet_lock(settings, this_machine())
            answer = fleet.acquire("")
            if not isinstance(answer, Held):
                fail(f"Error locking: {answer.reason}")
            yield
    elif decision == Locked(ETCD):
        with group_of(flags, "Error locking") as group:
            machine, mine = this_machine(), True
            try:
                group.lock(machine, datetime.now(UTC))
            except HolderExistsError:
                mine = False
            try:
                yield
            except RebootError:
                if mine:
                    group.unlock(machine)
                raise
    else:
        with saying("Error rebooting"):
            yield
