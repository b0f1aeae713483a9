"""``locksmithctl reboot`` and ``send-need-reboot``."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootselect.click_support import say
from update_agent.agent.errors import RebootError
from update_agent.agent.rebooting import reboot as restart
from update_agent.cli.locksmith_flags import Flags, fail, group_of, saying, settings_of_agent, this_machine
from update_agent.lock.errors import HolderExistsError
from update_agent.reboot.promise import Book, Promise
from update_agent.state.errors import StateBusyError
from update_agent.state.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from update_agent.config.settings import Settings
    from update_agent.lock.group import Group

_NEED_REBOOT = ["/com/coreos/update1", "com.coreos.update1.Manager", "StatusUpdate", "xdssx", "0", "0"]


@click.command("reboot")
@click.pass_obj
def reboot(flags: Flags) -> None:
    """Reboot this machine, with a place where reboot.strategy asks for one. Nothing is asked of etcd where it does not."""
    if os.geteuid() != 0:
        fail("Must be root to initiate reboot.")
    settings = flags.over(settings_of_agent())
    with place_for_reboot(flags, settings):
        restart(inhibitors=True)


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
    """A place where the strategy asks for one; given back where the block fails, if it was taken here.

    Else the agent gives it back after the reboot.
    """
    from update_agent.reboot.strategy import ETCD, FLEET_LOCK, Hold, Locked, decide, etcd_units

    decision = decide(settings, etcd_units)
    if isinstance(decision, Hold) and not decision.give_back:
        fail(f"Error locking: {decision.reason}")
    with ExitStack() as stack:
        if isinstance(decision, Locked):
            stack.enter_context(saying("Error locking"))
            stack.enter_context(_promised(settings, decision.kind))
        if decision == Locked(FLEET_LOCK):
            stack.enter_context(_of_a_server(settings))
        elif decision == Locked(ETCD):
            group = stack.enter_context(group_of(flags, "Error locking"))
            stack.enter_context(_of_etcd(group))
        else:
            stack.enter_context(saying("Error rebooting"))
        yield


@contextmanager
def _promised(settings: Settings, kind: str) -> Iterator[None]:
    """Write down that the machine may have a place, as the agent does for its own: so the agent knows of it after the reboot.

    Where the agent has written that already, it stays. Raises PromiseError.
    """
    book = Book(Path(settings.state_folder), tell=lambda line: say(line, err=True))
    with ExitStack() as stack:
        with suppress(StateBusyError):  # an agent that is busy now has paid before what it owed
            stack.enter_context(Store(settings.state_folder).claim())
        before = book.read()
        if before is None:
            book.write(Promise("", kind))
        try:
            yield
        except BaseException:
            if before is None:
                book.write(None)
            raise


@contextmanager
def _of_a_server(settings: Settings) -> Iterator[None]:
    from update_agent.lock.coordinator import Held
    from update_agent.lock.open import fleet_lock

    fleet = fleet_lock(settings, this_machine())
    answer = fleet.acquire("")
    if not isinstance(answer, Held):
        fail(f"Error locking: {answer.reason}")
    try:
        yield
    except RebootError:
        fleet.release()
        raise


@contextmanager
def _of_etcd(group: Group) -> Iterator[None]:
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
