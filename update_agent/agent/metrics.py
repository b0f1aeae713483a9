"""Numbers for Prometheus, in a file that the text collector of its node exporter reads.

The names are those that Zincati has for the same, with ``slotboot`` before them. The table of docs/update-interfaces.md is made from
``GAUGES`` and ``COUNTERS``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from update_agent.lock.metrics import HOLDER, SINCE
from update_agent.state.files import SystemFiles, make_folders, replace_file
from update_agent.state.transitions import Happening, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from prometheus_client import Metric

    from update_agent.agent.place import Place
    from update_agent.agent.view import View
    from update_agent.state.files import Files
    from update_agent.state.machine import Machine

_H = Happening
_AGENT = "slotboot_update_agent"


@dataclass(frozen=True)
class Level:
    """A number that goes up and down."""

    name: str
    about: str
    value: Callable[[View], float]


GAUGES = (
    Level(
        f"{_AGENT}_latest_state_change_timestamp",
        "UTC timestamp of the last change of state.",
        lambda view: view.since.timestamp(),
    ),
    Level(
        f"{_AGENT}_last_check_timestamp",
        "UTC timestamp of the last check that was answered; 0 before the first.",
        lambda view: view.checked.timestamp() if view.checked else 0,
    ),
    Level(f"{_AGENT}_update_size_bytes", "Bytes of the update at hand; 0 without one.", lambda view: view.size),
    Level(
        f"{_AGENT}_step_progress_ratio",
        "How much of the download, or of the reading back, is done.",
        lambda view: view.progress,
    ),
    Level(
        f"{_AGENT}_known_bad_versions", "Versions that were rolled back on this machine.", lambda view: len(view.bad)
    ),
)
"""What a view says."""
REFRESH = f"{_AGENT}_last_refresh_timestamp", "UTC timestamp of the last time that the agent looked after its state."
ENABLED = f"{_AGENT}_updates_enabled", "Whether updates are looked for."
STATE = f"{_AGENT}_state", "1 for the state that the update is in, 0 for all others."
MODE = "slotboot_updates_strategy_mode", "1 for the strategy for reboots that holds."
OS = "slotboot_identity_os_info", "The version that runs, the group, and the version that the state is about; always 1."

AHEAD = (
    "slotboot_lock_ahead",
    "Machines before this one in the queue of the lock, counted up to 100, and what it waits for; only while it waits.",
)
WAITING_SINCE = "slotboot_lock_waiting_since_seconds", "When it began to wait for its place in the lock."

COUNTERS: Mapping[str, tuple[str, Happening]] = {
    f"{_AGENT}_checks": ("Checks that began.", _H.CHECK),
    f"{_AGENT}_failures": ("Checks, downloads and installations that failed.", _H.FAIL),
    f"{_AGENT}_refusals": ("Versions that this machine could not take.", _H.REFUSE),
    f"{_AGENT}_installations": ("Slots that were armed.", _H.ARM),
    f"{_AGENT}_finalization_attempts": ("Reboots that were asked for.", _H.REBOOT),
    f"{_AGENT}_updates": ("Versions that proved themselves.", _H.PROVED),
    f"{_AGENT}_rollbacks": ("Versions that were rolled back.", _H.ROLL_BACK),
}
"""What is counted since the agent started -> what it is, and what happens then. The names end with ``_total`` in the file."""


class Metrics(Collector):
    """All numbers of one agent; counters begin with 0. ``mode`` is the strategy for reboots."""

    def __init__(self, group: str, mode: str, *, enabled: bool) -> None:
        self._group, self._mode, self._enabled = group, mode, enabled
        self._counts = dict.fromkeys(COUNTERS, 0)
        self._shown: tuple[View, datetime] | None = None
        self.place: Place | None = None
        """In the lock of the group, or in its queue."""

    def count(self, before: Machine, after: Machine) -> None:
        """Count what led from one state to another."""
        for name, (_, happening) in COUNTERS.items():
            if after.state is not before.state and after.event is happening:
                self._counts[name] += 1

    def show(self, view: View, now: datetime) -> None:
        """Take the numbers of a view, at a time."""
        self._shown = view, now

    def collect(self) -> Iterator[Metric]:
        """For the library: each metric."""
        yield GaugeMetricFamily(*ENABLED, value=float(self._enabled))
        yield _labelled(MODE, {"strategy": self._mode}, 1)
        for name, (about, _) in COUNTERS.items():
            yield CounterMetricFamily(name, about, value=self._counts[name])
        if self.place is not None:
            yield from _lock(self.place)
        if self._shown is None:
            return
        view, now = self._shown
        yield _labelled(OS, {"group": self._group, "os_version": view.running, "update_version": view.version}, 1)
        yield GaugeMetricFamily(*REFRESH, value=now.timestamp())
        for level in GAUGES:
            yield GaugeMetricFamily(level.name, level.about, value=level.value(view))
        states = GaugeMetricFamily(*STATE, labels=["state"])
        for state in State:
            states.add_metric([state], float(state is view.state))
        yield states

    def text(self) -> bytes:
        """In the text format of Prometheus."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def write(self, path: str, files: Files | None = None) -> None:
        """Write them to a file, which is the old or the new one for every reader. Raises OSError."""
        files = files or SystemFiles()
        folder, _, name = path.rpartition("/")
        make_folders(files, folder or "/")
        replace_file(files, folder or "/", name, self.text())


def _lock(place: Place) -> Iterator[Metric]:
    who = {"group": place.group, "machine": place.machine}
    if place.why:
        yield _labelled(AHEAD, {**who, "reason": place.why}, place.ahead)
    else:
        yield _labelled(HOLDER, who, 2 if place.kept else 1)
    if place.since is not None:
        yield _labelled(WAITING_SINCE if place.why else SINCE, who, place.since.timestamp())


def _labelled(what: tuple[str, str], labels: Mapping[str, str], value: float) -> GaugeMetricFamily:
    family = GaugeMetricFamily(*what, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family
