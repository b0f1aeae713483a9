"""``updatectl agent``: the service."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootselect.click_support import say
from update_agent.agent.cancelling import cancel
from update_agent.agent.conducting import Conductor
from update_agent.agent.coordination import Coordinator, Stage
from update_agent.agent.journal import SOCKET, Journal, connect
from update_agent.agent.notify import Notifier
from update_agent.agent.showing import Showing
from update_agent.agent.steps import Ears
from update_agent.agent.view import View, view_of
from update_agent.cli.common import online, settings_here, world_here
from update_agent.state.facts import version_of
from update_agent.state.store import Store

if TYPE_CHECKING:
    from types import FrameType

    from update_agent.agent.bus import Bus
    from update_agent.agent.loop import Loop
    from update_agent.agent.metrics import Metrics
    from update_agent.config.settings import Settings


@click.command("agent")
def agent() -> None:
    """Look for updates, install them, and reboot into them where that is allowed; for as long as it runs.

    This is what slotboot-update.service starts. SIGTERM ends it; what is under way goes on at the next start. SIGHUP and
    SIGUSR1 let it check at once. The settings are read anew for each check.
    """
    room, settings = online(), settings_here()
    timetable = room.Timetable(settings, lambda: time.clock_gettime(time.CLOCK_BOOTTIME))
    notifier = Notifier.of(os.environ)
    with ExitStack() as parts:
        showing = _showing(settings, notifier, parts)
        loop = room.Loop(
            lambda: world_here(settings_here()),
            timetable,
            listeners=[showing.show],
            tell=_tell,
            alive=notifier.watchdog,
            ears=Ears(report=lambda *_: notifier.watchdog()),
            reboots=Conductor(_tell, alive=notifier.watchdog, show=showing.show_place).reboots,
        )
        _listen(loop)
        showing.bus = _bus(loop, showing, settings, parts)
        showing.show(Store(settings.state_folder).load_or_start_over(datetime.now(UTC)).machine)
        notifier.ready()
        loop.run()
        notifier.stopping()


def _showing(settings: Settings, notifier: Notifier, parts: ExitStack) -> Showing:
    sender = connect(SOCKET)
    if sender is not None:
        parts.enter_context(sender)
    coordinator = Coordinator(settings.reboot_strategy)
    parts.callback(_closed, coordinator)
    showing = Showing(
        version_of(Path("/")),
        Journal(sender, _tell),
        _metrics(settings),
        settings.metrics_file,
        coordinator,
        notifier,
        lambda: datetime.now(UTC),
        _tell,
    )
    with suppress(OSError):  # the first step that is shown says what is wrong
        coordinator.show(Stage.STARTING)
    return showing


def _closed(coordinator: Coordinator) -> None:
    with suppress(OSError):
        coordinator.close()


def _metrics(settings: Settings) -> Metrics | None:
    try:
        from update_agent.agent.metrics import Metrics
    except ImportError:
        _tell("no metrics: the library prometheus-client is not installed; updates go on without them")
        return None
    return Metrics(settings.group, settings.reboot_strategy, enabled=settings.enabled)


def _bus(loop: Loop, showing: Showing, settings: Settings, parts: ExitStack) -> Bus:
    def reset() -> None:
        cancel(world_here(), 0, [showing.show], _tell)

    def status() -> View:
        found = Store(settings.state_folder).load_or_start_over(datetime.now(UTC)).machine
        return view_of(found, version_of(Path("/")), showing.size)

    bus: Bus = online().Bus(loop.check_now, reset, status, _tell)
    bus.start()
    parts.callback(bus.stop)
    return bus


def _listen(loop: Loop) -> None:
    def end(number: int, frame: FrameType | None) -> None:
        del number, frame
        loop.end()
        # What is under way is left where it is: the next start goes on.
        raise SystemExit(0)

    def check(number: int, frame: FrameType | None) -> None:
        del number, frame
        loop.check_now()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGHUP, check)
    signal.signal(signal.SIGUSR1, check)


def _tell(line: str) -> None:
    with suppress(OSError):
        say(line, err=True)
