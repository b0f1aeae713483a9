"""A group in the text format of Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from update_agent.lock.group import View

HOLDER = "slotboot_lock_holder", "A machine that has a place; 2 where it keeps it after a rollback."
SINCE = "slotboot_lock_holder_since_seconds", "When it took the place, by its own clock."
_HELP = {
    "slotboot_lock_max": "Machines that may reboot at once.",
    "slotboot_lock_available": "Places that are free.",
    **dict([HOLDER, SINCE]),
    "slotboot_lock_waiting": "Machines in the queue.",
    "slotboot_lock_stopped": "A version that nobody may start on.",
}


def metrics_of(views: Mapping[str, View]) -> str:
    """Name of a group -> the group."""
    lines: dict[str, list[str]] = {name: [] for name in _HELP}
    for group, view in views.items():
        for name, labels, value in _samples(view):
            text = ",".join(f'{label}="{_escaped(word)}"' for label, word in {"group": group, **labels}.items())
            lines[name].append(f"{name}{{{text}}} {value}")
    blocks = (
        f"# HELP {name} {_HELP[name]}\n# TYPE {name} gauge\n" + "".join(f"{line}\n" for line in some)
        for name, some in lines.items()
    )
    return "".join(blocks)


def _samples(view: View) -> Iterator[tuple[str, dict[str, str], int]]:
    yield "slotboot_lock_max", {}, view.semaphore.max
    yield "slotboot_lock_available", {}, view.semaphore.available
    yield "slotboot_lock_waiting", {}, len(view.waiting)
    for one in view.holders:
        yield "slotboot_lock_holder", {"machine": one.machine}, 2 if one.rolled_back else 1
        if one.since is not None:
            yield "slotboot_lock_holder_since_seconds", {"machine": one.machine}, int(one.since.timestamp())
    for version, stop in view.stops.items():
        labels = {"version": version, "machine": stop.who, "reason": stop.why}
        yield "slotboot_lock_stopped", labels, 1


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
